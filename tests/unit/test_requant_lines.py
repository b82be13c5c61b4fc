"""Requantization as one line against the integer reference, for every sum within the bounds."""

from __future__ import annotations

import numpy as np
import pytest

from quantmcu_kit.ir.types import DType
from quantmcu_kit.ops.requantize import Requant, Rounding
from quantmcu_kit.ops.variants import lines

CHANNELS = 24
BOUND = 30_000


def requant(dtype: DType, shifts: tuple[int, int], zero: int, rng: np.random.Generator, **limits: int) -> Requant:
    return Requant(
        bias=rng.integers(-3000, 3000, CHANNELS).astype(np.int32),
        multiplier=rng.integers(1 << 30, 1 << 31, CHANNELS).astype(np.int32),
        shift=rng.integers(shifts[0], shifts[1], CHANNELS, endpoint=True).astype(np.int8),
        zero_point=zero,
        low=limits.get("low", dtype.low),
        high=limits.get("high", dtype.high),
        dtype=dtype,
    )


def arranged(rule: Requant, most: int) -> np.ndarray | None:
    bounds = np.full(CHANNELS, BOUND, np.int64)
    return lines.arrange(rule, rule.bias, bounds, bounds + np.abs(rule.bias), np.full(CHANNELS, most, np.int64))


@pytest.mark.parametrize(
    ("dtype", "shifts", "zero", "most"),
    [
        (DType.I8, (-9, -4), -128, 258),
        (DType.I8, (-4, -1), -128, 4095),
        (DType.I8, (0, 1), 17, 16383),
        (DType.I8, (0, 2), -20, 16383),
        (DType.U4, (1, 2), 3, 16383),
        (DType.I8, (-3, 2), -128, 16383),
        (DType.U4, (-12, -5), 0, 258),
        (DType.U4, (0, 0), 7, 4095),
        (DType.U2, (-8, -5), 0, 300),
        (DType.I8, (-20, -18), -128, 258),
    ],
)
def test_a_line_is_exact(dtype, shifts, zero, most):
    rule = requant(dtype, shifts, zero, np.random.default_rng(most))
    found = arranged(rule, most)
    assert found is not None
    sums = np.arange(-BOUND, BOUND + 1)[:, None] - rule.bias.astype(np.int64)  # what the bias is added to
    bias, multiplier, _, factor = found.astype(np.int64).T
    x = (factor >> 8) * sums + bias
    assert np.abs(x).max() < 1 << 31
    np.testing.assert_array_equal(
        np.clip((x * multiplier >> 32) >> lines.SHIFT, dtype.low, dtype.high), rule.apply(sums)
    )


@pytest.mark.parametrize(
    ("dtype", "shifts", "zero"), [(DType.I8, (-9, -4), -128), (DType.U4, (-12, -5), 0), (DType.I8, (-20, -18), -128)]
)
def test_a_line_of_one_factor_is_exact(dtype, shifts, zero):
    rule = requant(dtype, shifts, zero, np.random.default_rng(7))
    bounds = np.full(CHANNELS, BOUND, np.int64)
    found = lines.of_factor(rule, rule.bias, bounds, bounds + np.abs(rule.bias), 256)
    assert found is not None
    sums = np.arange(-BOUND, BOUND + 1)[:, None] - rule.bias.astype(np.int64)
    bias, multiplier = found.astype(np.int64).T
    x = 256 * sums + bias
    assert np.abs(x).max() < 1 << 31
    np.testing.assert_array_equal(
        np.clip((x * multiplier >> 32) >> lines.SHIFT, dtype.low, dtype.high), rule.apply(sums)
    )


def test_slopes_beyond_32_bits_have_no_line():
    """Of scales from an eighth on and the factor 256: an eighth of 2^(32 + SHIFT - 8) is 2^31."""
    rule = requant(DType.I8, (-2, -2), -128, np.random.default_rng(7))
    bounds = np.full(CHANNELS, BOUND, np.int64)
    assert lines.of_factor(rule, rule.bias, bounds, bounds + np.abs(rule.bias), 256) is None


def test_what_no_line_meets():
    rng = np.random.default_rng(5)
    assert arranged(requant(DType.I8, (-8, -5), 0, rng), 258) is None  # values below the zero-point round the other way
    assert arranged(requant(DType.I8, (-8, -5), -128, rng, high=100), 258) is None
    assert arranged(requant(DType.I8, (-8, -5), -100, rng, low=-100), 258) is None
    rule = requant(DType.I8, (-8, -5), -128, rng)
    once = Requant(rule.bias, rule.multiplier, rule.shift, -128, -128, 127, Rounding.ONCE)
    assert arranged(once, 258) is None


@pytest.mark.parametrize("width", [8, 10])
@pytest.mark.parametrize(
    ("dtype", "shifts", "zero"),
    [
        (DType.U4, (-7, -1), 0),
        (DType.U4, (0, 1), 5),
        (DType.U4, (0, 4), 9),
        (DType.U2, (-8, -2), 0),
        (DType.U2, (0, 2), 1),
        (DType.I8, (-3, -1), -128),
        (DType.I8, (0, 5), -30),
        (DType.I8, (-2, 8), -128),
    ],
)
def test_fields_become_values(dtype, shifts, zero, width):
    rng = np.random.default_rng(width)
    rule = requant(dtype, shifts, zero, rng)
    most = rng.integers(1 << (width - 1), 1 << width, CHANNELS)
    offset = rng.integers(0, most)
    found = lines.of_fields(rule, offset, most)
    assert found is not None
    multiplier, addend = found.T
    fields = np.minimum(np.arange(1 << width)[:, None], most)
    values = np.clip(((fields * multiplier >> 16) + addend) >> lines.FIELD_SHIFT, 0, 255) >> (8 - dtype.bits)
    expected = rule.apply(fields - offset - rule.bias.astype(np.int64))
    np.testing.assert_array_equal(values + dtype.low, expected)
