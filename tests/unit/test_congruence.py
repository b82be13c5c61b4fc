"""The least multiple within a range modulo another number, against trying one after the other."""

from __future__ import annotations

import random

import pytest

from quantmcu_kit.numerics.congruence import first_within


@pytest.mark.parametrize("modulus", [1, 2, 7, 12, 64, 101])
def test_first_within_is_what_trying_finds(modulus):
    rng = random.Random(modulus)
    for _ in range(400):
        factor, low, width = rng.randrange(modulus), rng.randrange(modulus), rng.randint(1, modulus)
        tried = (x for x in range(modulus) if (x * factor - low) % modulus < width)
        assert first_within(factor, modulus, low, width) == next(tried, None)


def test_words():
    """The result of 2^32 and an odd factor, checked."""
    x = first_within(1_518_500_251, 1 << 32, 77, 3)
    assert (x * 1_518_500_251 - 77) % (1 << 32) < 3
