"""Prearranged requantization against TFLite's, sum by sum: the formula of core/requant_lane.h in Python integers."""

from __future__ import annotations

import numpy as np
import pytest

from quantmcu_kit.ir.types import DType
from quantmcu_kit.numerics.fixedpoint import multiply_by_quantized_multiplier, quantize_multipliers
from quantmcu_kit.numerics.single_rounding import single_rounding_multipliers
from quantmcu_kit.ops.fully_connected import Params
from quantmcu_kit.ops.requantize import Requant, Rounding
from quantmcu_kit.ops.variants import lanes, lines
from quantmcu_kit.ops.weighted import Weights

CHANNELS = 16


def result(lane: np.ndarray, acc: int, kind: str) -> int:
    """Of a sum, before the clamp."""
    bias2, multiplier, half, n = (int(value) for value in lane)
    x = bias2 + 2 * acc
    x = (x + (1 << 31)) % (1 << 32) - (1 << 31)
    if kind == "once":
        return ((x * multiplier >> 32) + half) >> n
    high = x * multiplier + (1 << 31) >> 32
    assert abs(high + half) < (1 << 31) - 1
    return high + half + (-(x < 0) if kind == "twice" else 0) >> n


def scales_of(rng: np.random.Generator, kind: int) -> np.ndarray:
    """Below one half: any, powers of two, or those of channels that are nearly dead."""
    low, high = ((-14, -1.01), (-12, -2), (-30, -20))[kind]
    scales = 2.0 ** rng.uniform(low, high, CHANNELS)
    return 2.0 ** np.floor(np.log2(scales)) if kind == 1 else scales


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("is_rectified", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_lanes_equal_tflite(rounding, is_rectified, seed):
    rng = np.random.default_rng(seed)
    scales = scales_of(rng, seed % 3)
    bounds = (2.0 ** rng.uniform(8, 26, CHANNELS)).astype(np.int64)
    zero_point = int(rng.integers(-128, 128))
    once = rounding is Rounding.ONCE
    multiplier, shift = single_rounding_multipliers(scales, bounds) if once else quantize_multipliers(scales)
    bias = rng.integers(-(1 << 30), 1 << 30, CHANNELS).astype(np.int32)
    low = zero_point if is_rectified else -128
    requant = Requant(bias, multiplier, shift, zero_point, low, 127, rounding)
    assert lanes.is_rectified(requant) == (low >= zero_point)
    arranged = lanes.arrange(requant, bias, bounds)
    assert arranged is not None
    near = (rng.integers(-256, 257, (60, CHANNELS)) + 0.5) / scales
    sums = np.concatenate([rng.uniform(-1, 1, (20, CHANNELS)) * bounds, near, near + 1, near - 1])
    sums = np.clip(np.round(sums), -bounds, bounds).astype(np.int64) - bias
    kind = "once" if once else "rectified" if is_rectified else "twice"
    actual = [[result(arranged[c], int(acc), kind) for c, acc in enumerate(row)] for row in sums]
    np.testing.assert_array_equal(np.clip(actual, low, 127), requant.apply(sums))


@pytest.mark.parametrize(
    "scale, bound, low, is_supported",
    [
        (0.6, 1000, -128, True),
        (0.6, 1 << 29, -128, False),  # twice the sum, raised until it is positive, is beyond 32 bits
        (0.6, 1 << 29, -5, True),  # low is the zero-point: it need not be positive
        (1.5, 1000, -5, False),
        (0.3, 1 << 30, -128, False),  # twice the sum is beyond 32 bits
    ],
)
def test_what_has_no_such_form_is_refused(scale, bound, low, is_supported):
    multiplier, shift = quantize_multipliers(np.array([scale]))
    requant = Requant(np.zeros(1, np.int32), multiplier, shift, -5, low, 127)
    assert (lanes.arrange(requant, requant.bias, np.array([bound])) is not None) == is_supported


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("low", [-128, -7, 20])
@pytest.mark.parametrize("seed", range(6))
def test_factors_from_a_half_to_1_are_exact_for_every_sum(rounding, low, seed):
    """Beside smaller ones; the sign counts where the output is not clamped at the zero-point, -7."""
    rng = np.random.default_rng(seed)
    scales = np.where(rng.random(CHANNELS) < 0.7, rng.uniform(0.5, 1, CHANNELS), rng.uniform(0.001, 0.5, CHANNELS))
    scales[:3] = (0.5, 0.75, 1 - 2.0**-31)
    bound = 3000
    bounds = np.full(CHANNELS, bound)
    once = rounding is Rounding.ONCE
    multiplier, shift = single_rounding_multipliers(scales, bounds) if once else quantize_multipliers(scales)
    bias = rng.integers(-(1 << 20), 1 << 20, CHANNELS).astype(np.int32)
    requant = Requant(bias, multiplier, shift, -7, low, 127, rounding)
    sums = np.arange(-bound, bound + 1)[:, None] - bias.astype(np.int64)
    expected = requant.apply(sums)
    for has_sign in (False, True):
        found = lanes.arrange(requant, bias, bounds, has_sign=has_sign)
        assert found is not None
        is_rectified = low >= -7 and not has_sign
        kind = "once" if once else "rectified" if is_rectified else "twice"
        bias2, m, addend, n = found.astype(np.int64).T
        x = bias2 + 2 * sums
        if kind == "once":
            values = ((x * m >> 32) + addend) >> n
        else:
            values = ((x * m + (1 << 31) >> 32) + addend - ((x < 0) if kind == "twice" else 0)) >> n
        np.testing.assert_array_equal(np.clip(values, low, 127), expected, err_msg=kind)
        assert np.abs(x).max() < 1 << 31


def test_enlarged_layers_have_the_same_outputs_and_no_shift_to_the_left():
    """By hand: 3 · 2.5 = 7.5 becomes 12 · 0.625; a layer whose weights have no room stays as it is."""
    weights = Weights(np.array([[3, -2], [100, 1]], np.int8), 0, 0, DType.I8, 255)
    multiplier, shift = quantize_multipliers(np.array([2.5, 0.4]))
    requant = Requant(np.array([5, 7], np.int32), multiplier, shift, 0, -128, 127)
    params = Params(1, (1, 2), (1, 2), DType.I8, 0, weights, requant)
    larger = lanes.enlarged(params)
    assert larger.weights.values.tolist() == [[12, -8], [100, 1]]
    assert larger.requant.bias.tolist() == [20, 7]
    assert larger.requant.shift.tolist() == [0, shift[1]]
    sums = np.arange(-60, 61)[:, None].repeat(2, axis=1)
    np.testing.assert_array_equal(larger.requant.apply(sums * [4, 1]), requant.apply(sums))
    assert lanes.enlarged(params, -8, 7) is params


@pytest.mark.parametrize("zero_point", [-128, -3, 90])
def test_channels_that_no_input_reaches_always_have_a_form(zero_point):
    """Whatever their factor is: such a channel may be scaled up."""
    factors = np.array([30.0, 30.0, 0.7, 0.001, 1.0, 0.002])
    bias = np.array([9, -9, 100, -(1 << 20), 0, 17], np.int32)
    is_constant = np.array([True, True, True, True, True, False])
    multiplier, shift = quantize_multipliers(factors)
    requant = Requant(bias, multiplier, shift, zero_point, -128, 127)
    constant = requant.with_constants(is_constant)
    expected = multiply_by_quantized_multiplier(bias.astype(np.int64), multiplier, shift) + zero_point
    expected = np.clip(expected, -128, 127)
    sums = np.zeros((1, 6), np.int64)
    np.testing.assert_array_equal(constant.apply(sums)[0], expected)
    bounds = np.abs(constant.bias.astype(np.int64)) + [0, 0, 0, 0, 0, 1 << 20]
    lane = lanes.arrange(constant, constant.bias, bounds)
    assert [np.clip(result(each, 0, "twice"), -128, 127) for each in lane] == expected.tolist()
    kept = (requant.bias[5], requant.multiplier[5], requant.shift[5])
    assert (constant.bias[5], constant.multiplier[5], constant.shift[5]) == kept
    assert lanes.arrange(requant, requant.bias, np.abs(requant.bias.astype(np.int64))) is None


@pytest.mark.parametrize("rounding", list(Rounding))
def test_factors_that_became_zero_have_a_form(rounding):
    """Every sum gives the zero-point; lines and lanes are found although 0 has neither."""
    multiplier, shift = np.array([0, 1_518_500_251], np.int32), np.array([0, -5], np.int8)
    requant = Requant(np.zeros(2, np.int32), multiplier, shift, -128, -128, 127, rounding)
    friendly = requant.with_constants(np.zeros(2, bool))
    assert (friendly.multiplier[1], friendly.shift[1]) == (1_518_500_251, -5)
    sums = np.array([-(1 << 31) + 1, -1, 0, 1, (1 << 31) - 1])
    grid = np.stack([sums, np.zeros_like(sums)], axis=1)
    assert set(friendly.apply(grid)[:, 0].tolist()) == {-128} == set(requant.apply(grid)[:, 0].tolist())
    bounds = np.array([1 << 28, 1 << 12])
    assert lanes.arrange(friendly, friendly.bias, bounds) is not None
    if rounding is Rounding.TWICE:
        most = np.full(2, 64, np.int64)
        assert lines.arrange(friendly, friendly.bias, bounds, bounds >> 8, most) is not None
        assert lines.arrange(requant, requant.bias, bounds, bounds >> 8, most) is None
