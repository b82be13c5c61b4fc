"""Exponential and reciprocal in fixed point, bit for bit as TFLite's reference softmax.

Qm.n is an integer of m integer bits and n = 31 - m fractional bits. Twin of ``one_over_one_plus_x`` in C:
``platformio_lib/src/quantmcu/core/reciprocal.h``; exponentials become tables at build time.
Source of the semantics: gemmlowp ``fixedpoint.h``, TFLite ``kernels/internal/common.h`` (``GetReciprocal``).
"""

from __future__ import annotations

import math

import numpy as np

from quantmcu_kit.numerics.fixedpoint import INT32_MAX, INT32_MIN, doubling_high_mul, rounding_shift_right

EXP_INTEGER_BITS = 5  # arguments of exp_on_negative_values are Q5.26
_EXP_FRACTION_BITS = 31 - EXP_INTEGER_BITS
_NEWTON_STEPS = 3


def _constant(real: float, integer_bits: int = 0) -> int:
    return math.floor(real * 2 ** (31 - integer_bits) + 0.5)


def _exp_within_quarter(x: np.ndarray) -> np.ndarray:
    """exp(x) for x in [-1/4, 0), both Q0.31: Taylor's polynomial of degree four around -1/8."""
    at_centre = _constant(math.exp(-1 / 8))
    x = x + _constant(1 / 8)
    x2 = doubling_high_mul(x, x)
    x3 = doubling_high_mul(x2, x)
    x4_quarter = rounding_shift_right(doubling_high_mul(x2, x2), 2)
    # x²/2 + x³/6 + x⁴/24
    tail = rounding_shift_right(doubling_high_mul(x4_quarter + x3, _constant(1 / 3)) + x2, 1)
    return at_centre + doubling_high_mul(np.int64(at_centre), x + tail)


def exp_on_negative_values(x: np.ndarray) -> np.ndarray:
    """exp(x), an int64 array of Q0.31 values in [0, 2^31 - 1], within 2^-22 of the real value.

    Args:
        x: int64 array of Q5.26 values in [-2^31, 0], reals in [-32, 0].
    """
    assert np.all((x >= INT32_MIN) & (x <= 0)), "the argument must be a Q5.26 number that is not positive"
    quarter = 1 << (_EXP_FRACTION_BITS - 2)
    fine = (x & (quarter - 1)) - quarter  # x modulo 1/4, minus 1/4
    result = _exp_within_quarter(fine << EXP_INTEGER_BITS)
    coarse = fine - x  # a multiple of 1/4: exp(x) = exp(fine) · Π exp(-2^e) over its bits e
    for exponent in range(-2, EXP_INTEGER_BITS):
        is_set = coarse & (1 << (_EXP_FRACTION_BITS + exponent)) != 0
        factor = np.int64(_constant(math.exp(-(2.0**exponent))))
        result = np.where(is_set, doubling_high_mul(result, factor), result)
    return np.where(x == 0, INT32_MAX, result)


def one_over_one_plus_x(x: np.ndarray) -> np.ndarray:
    """1 / (1 + x), Q0.31, for x in [0, 1): Newton's division. ``x`` is an int64 array of Q0.31 values."""
    half_denominator = (x + INT32_MAX + 1) >> 1  # (1 + x) / 2, in [1/2, 1]
    estimate = _constant(48 / 17, 2) + doubling_high_mul(half_denominator, np.int64(_constant(-32 / 17, 2)))  # Q2.29
    for _ in range(_NEWTON_STEPS):
        error = (1 << 29) - doubling_high_mul(half_denominator, estimate)  # Q2.29, |error| <= 1/17
        estimate = estimate + (doubling_high_mul(estimate, error) << 2)
    return np.minimum(estimate << 1, INT32_MAX)  # estimate is 2 / (1 + x)


def reciprocal(x: np.ndarray, integer_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """(scale, bits) with 1 / x = scale · 2^-bits, scale Q0.31 in (1/2, 1].

    Args:
        x: int64 array of positive Q(integer_bits) values below 2^31.
        integer_bits: integer bits of x's format.
    """
    assert np.all((x > 0) & (x <= INT32_MAX))
    leading_zeros = 32 - np.frexp(x.astype(np.float64))[1].astype(np.int64)
    return one_over_one_plus_x((x << leading_zeros) - (1 << 31)), integer_bits - leading_zeros
