"""Requantization with one rounding: the integer equal of ``round(double(x) * scale)``.

TFLite's reference FULLY_CONNECTED scales its accumulator in double precision. The same steps come out of a 31-bit
multiplier and one rounded shift, provided that the multiplier is chosen for it: among all multipliers, those whose 255
steps lie at the same accumulators form an interval, found here exactly.
Twin of ``qmcu_multiply_rounding_once`` in ``platformio_lib/src/quantmcu/core/fixedpoint.h``.
"""

from __future__ import annotations

import numpy as np

from quantmcu_kit.numerics.fixedpoint import INT32_MAX, quantize_multipliers

STEPS = 255  # an int8 output differs from its zero-point by at most this


def multiply_rounding_once(x: np.ndarray, multiplier: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """round(x · multiplier · 2^(shift - 31)), halves away from zero, as int64.

    Args:
        x: integers, |x| < 2^31.
        multiplier: in [0, 2^31).
        shift: in -31..30; both broadcast against ``x``'s last axis.
    """
    exponent = 31 - np.asarray(shift, np.int64)
    # |product| < 2^62 and the half is at most 2^61: no overflow.
    product = np.asarray(x, np.int64) * np.asarray(multiplier, np.int64)
    product += (np.int64(1) << (exponent - 1)) + (product >> 63)
    product >>= exponent
    return product


def steps_of(scales: np.ndarray) -> np.ndarray:
    """int64-valued [channels, STEPS]: the least x with double(x) · scale >= k - 1/2, for k = 1..STEPS."""
    halves = np.arange(1, STEPS + 1) - 0.5
    steps = np.ceil(halves / scales[:, None]) - 1  # the quotient is off by less than one
    for _ in range(2):
        steps += steps * scales[:, None] < halves
    return steps


def single_rounding_multipliers(scales: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers with which :func:`multiply_rounding_once` equals rounding the double product x · scale.

    Equality holds for every integer |x| <= bound whose result is within ±STEPS, wherever some 31-bit multiplier has it:
    for all of 20,000 random scales above 2^-10, for all but 5 of 20,000 between 2^-14 and 2^-10, seldom below. Where
    none has it, a result differs by one at the few accumulators whose product lies within 2^-22 of a half.

    Args:
        scales: float64 [channels], positive.
        bounds: int64 [channels], below 2^31.
    Returns:
        int32 multipliers and int8 shifts, both [channels].
    """
    nearest, shift = quantize_multipliers(scales)
    steps = steps_of(scales)
    matters = (steps <= bounds[:, None] + 1) & (nearest > 0)[:, None]
    at = np.where(matters, steps, 1).astype(np.int64)
    before = np.maximum(at - 1, 1)
    # (k - 1/2) · 2^(31 - shift): close to step · multiplier < 2^62 where it matters.
    odd = np.arange(1, 2 * STEPS, 2)
    half = np.where(matters, odd << np.where(matters, 30 - shift[:, None].astype(np.int64), 0), 1)
    low = np.where(matters, -(-half // at), 0).max(axis=1)
    high = np.where(matters & (at > 1), -(-half // before) - 1, INT32_MAX).min(axis=1)
    chosen = np.where(low <= high, np.clip(nearest, low, high), nearest)
    return np.clip(chosen, 0, INT32_MAX).astype(np.int32), shift
