"""Fixed-point requantization, bit for bit as TFLite's reference kernels (double rounding).

Twin of ``platformio_lib/src/quantmcu/core/fixedpoint.h``. Source of the semantics: TFLite
``kernels/internal/common.h`` and ``quantization_util.cc``, gemmlowp ``fixedpoint.h``.
"""

from __future__ import annotations

import math

import numpy as np

INT32_MIN = -(2**31)
INT32_MAX = 2**31 - 1


def round_half_away(x: float) -> int:
    """Round to the nearest integer, halves away from zero (C ``round``)."""
    return math.floor(abs(x) + 0.5) * (1 if x >= 0 else -1)


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Write ``real`` as ``multiplier * 2**(shift - 31)`` with multiplier in [2^30, 2^31).

    Args:
        real: non-negative, finite.
    Returns:
        (multiplier, shift), both int; (0, 0) when ``real`` is zero or below 2^-32.
    """
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * 2**31)
    if multiplier == 2**31:  # fraction rounded up to 1.0
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    return multiplier, shift


def quantize_multipliers(reals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``quantize_multiplier`` for each channel: (int32 multipliers, int8 shifts), shape of ``reals``."""
    pairs = [quantize_multiplier(float(real)) for real in np.ravel(reals)]
    return (
        np.array([multiplier for multiplier, _ in pairs], np.int32).reshape(np.shape(reals)),
        np.array([shift for _, shift in pairs], np.int8).reshape(np.shape(reals)),
    )


def doubling_high_mul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """round(a·b / 2^31) with halves up, saturated only at a = b = -2^31.

    gemmlowp nudges by 2^30 or 1 - 2^30 and truncates; for integers both equal floor((a·b + 2^30) / 2^31).

    Args:
        a, b: int64 arrays holding int32 values, broadcastable.
    """
    high = (a * b + (1 << 30)) >> 31
    return np.minimum(high, INT32_MAX)


def rounding_shift_right(x: np.ndarray, exponent: np.ndarray | int) -> np.ndarray:
    """round(x / 2^exponent), halves away from zero. ``exponent`` in 0..31, x an int64 array."""
    exponent = np.asarray(exponent, np.int64)
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


def multiply_by_quantized_multiplier(
    x: np.ndarray, multiplier: np.ndarray | int, shift: np.ndarray | int
) -> np.ndarray:
    """round(x · multiplier · 2^(shift - 31)) with TFLite's two roundings.

    Args:
        x: integers, |x · 2^max(shift, 0)| < 2^31 (the caller's bound).
        multiplier, shift: as from :func:`quantize_multiplier`, broadcast against ``x``'s last axis.
    Returns:
        int64 array of x's shape.
    """
    shift = np.asarray(shift, np.int64)
    left = np.maximum(shift, 0)
    scaled = doubling_high_mul(np.asarray(x, np.int64) << left, np.asarray(multiplier, np.int64))
    return rounding_shift_right(scaled, left - shift)
