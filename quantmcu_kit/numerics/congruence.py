"""Multiples that come close to a number modulo another."""

from __future__ import annotations


def first_within(factor: int, modulus: int, low: int, width: int) -> int | None:
    """The least x >= 0 with (x·factor − low) mod modulus < width; None where there is none.

    Args:
        factor, low: in 0..modulus - 1.
        width: in 1..modulus.
    """
    if low == 0 or low + width > modulus:
        return 0
    return _first(factor, modulus, low, low + width - 1)


def _first(factor: int, modulus: int, low: int, high: int) -> int | None:
    """The least x with low <= x·factor mod modulus <= high, 0 < low: as in Euclid's algorithm, modulus by modulus."""
    if factor == 0:
        return None
    steps = -(-low // factor)
    if steps * factor <= high:
        return steps
    # No multiple of the factor lies within: as many moduli must be added that one does.
    turns = _first(modulus % factor, factor, factor - high % factor, factor - low % factor)
    return None if turns is None else -(-(low + modulus * turns) // factor)
