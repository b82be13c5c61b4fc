"""``numerics.fixedpoint`` and ``numerics.single_rounding`` against definitions in exact rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from quantmcu_kit.numerics.fixedpoint import (
    INT32_MAX,
    INT32_MIN,
    doubling_high_mul,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    quantize_multipliers,
    round_half_away,
    rounding_shift_right,
)
from quantmcu_kit.numerics.single_rounding import (
    STEPS,
    multiply_rounding_once,
    single_rounding_multipliers,
    steps_of,
)

int32s = st.integers(INT32_MIN, INT32_MAX)
multipliers = st.one_of(st.just(0), st.integers(2**30, INT32_MAX))
scales = st.floats(2.0**-30, 2.0**10, allow_nan=False)


def half_away(x: Fraction) -> int:
    """The nearest integer, halves away from zero."""
    magnitude = math.floor(abs(x) + Fraction(1, 2))
    return magnitude if x >= 0 else -magnitude


def gemmlowp_high_mul(a: int, b: int) -> int:
    """SaturatingRoundingDoublingHighMul: a nudge by half towards the sign, then division truncated towards zero."""
    if a == b == INT32_MIN:
        return INT32_MAX
    product = a * b
    nudged = product + (2**30 if product >= 0 else 1 - 2**30)
    return math.trunc(Fraction(nudged, 2**31))


@given(st.floats(-1e6, 1e6, allow_nan=False))
@example(0.5)
@example(-0.5)
@example(-2.5)
def test_round_half_away(x):
    """C's ``round``."""
    assert round_half_away(x) == half_away(Fraction(x))


@given(scales)
@example(1.0)
@example(1 - 2.0**-40)  # the fraction rounds up to 1
def test_quantize_multiplier_is_the_nearest(real):
    """The multiplier is normalised, and off by half a unit at most."""
    multiplier, shift = quantize_multiplier(real)
    assert 2**30 <= multiplier < 2**31
    unit = Fraction(2) ** (shift - 31)
    assert abs(multiplier * unit - Fraction(real)) <= unit / 2


@given(st.floats(0, 2.0**-33, allow_nan=False))
def test_quantize_multiplier_flushes_to_zero(real):
    """Below 2^-32 the multiplier is 0, as in TFLite."""
    assert quantize_multiplier(real) == (0, 0)


@given(int32s, int32s)
@example(INT32_MIN, INT32_MIN)
@example(INT32_MIN, INT32_MAX)
@example(-1, 2**30)
@example(1, -(2**30))
def test_doubling_high_mul(a, b):
    """Equal to gemmlowp's definition, saturation included."""
    assert int(doubling_high_mul(np.int64(a), np.int64(b))) == gemmlowp_high_mul(a, b)


@given(int32s, st.integers(0, 31))
@example(INT32_MIN, 31)
@example(INT32_MAX, 31)
@example(-3, 1)
def test_rounding_shift_right(x, exponent):
    """Nearest, halves away from zero."""
    assert int(rounding_shift_right(np.int64(x), exponent)) == half_away(Fraction(x, 2**exponent))


@given(int32s, multipliers, st.integers(-31, 8))
def test_multiply_by_quantized_multiplier(x, multiplier, shift):
    """A left shift, the high product, a rounding right shift."""
    left = max(shift, 0)
    x >>= left  # the caller's bound
    expected = half_away(Fraction(gemmlowp_high_mul(x << left, multiplier), 2 ** (left - shift)))
    assert int(multiply_by_quantized_multiplier(np.int64(x), multiplier, shift)) == expected


@given(int32s, multipliers, st.integers(-31, 30))
@example(INT32_MIN, INT32_MAX, 30)
@example(INT32_MIN, INT32_MAX, -31)
@example(-5, 2**30, 0)  # -2.5
@example(5, 2**30, 0)
def test_multiply_rounding_once(x, multiplier, shift):
    """The exact product, rounded once."""
    expected = half_away(Fraction(x * multiplier) * Fraction(2) ** (shift - 31))
    assert int(multiply_rounding_once(np.array(x), np.array(multiplier), np.array(shift))) == expected


@given(st.floats(2.0**-16, 4.0, allow_nan=False), st.integers(1, STEPS), st.integers(-1, 1), st.booleans())
@example(0.5, 3, 0, True)  # products that are exact halves
@example(0.015625, 7, 0, False)
def test_single_rounding_is_off_only_beside_a_half(scale, step, aside, is_negative):
    """At and beside every step the result is TFLite's, unless the product is within 2^-22 of a half."""
    x = int(steps_of(np.array([scale]))[0, step - 1]) + aside
    x = -x if is_negative else x
    multiplier, shift = single_rounding_multipliers(np.array([scale]), np.array([INT32_MAX]))
    actual = int(multiply_rounding_once(np.array(x), multiplier[0], shift[0]))
    product = x * scale
    expected = round_half_away(product)
    assert actual == expected or abs(abs(product) % 1 - 0.5) < 2.0**-22


def test_single_rounding_equals_double_precision():
    """All 255 steps of a thousand usual scales, and of powers of two, lie where double precision has them."""
    rng = np.random.default_rng(7)
    usual = np.concatenate([np.exp2(rng.uniform(-10, 0, 1000)), np.exp2(np.arange(-20.0, 1.0)), [0.1, 1 / 3, 3.0]])
    multiplier, shift = single_rounding_multipliers(usual, np.full(usual.size, INT32_MAX))
    steps = steps_of(usual).astype(np.int64)
    for x in (steps, steps - 1, -steps, 1 - steps):
        product = x * usual[:, None]
        whole = np.trunc(product)
        expected = whole + np.sign(product) * (np.abs(product - whole) >= 0.5)
        np.testing.assert_array_equal(multiply_rounding_once(x, multiplier[:, None], shift[:, None]), expected)


def test_single_rounding_needs_more_than_the_nearest_multiplier():
    """The search matters: rounding the scale to 31 bits alone misplaces steps."""
    scale = np.exp2(np.random.default_rng(3).uniform(-14, -10, 4000))
    multiplier, _ = single_rounding_multipliers(scale, np.full(scale.size, INT32_MAX))
    assert np.count_nonzero(multiplier != quantize_multipliers(scale)[0]) > 10
