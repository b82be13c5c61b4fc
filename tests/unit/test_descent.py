"""Integers and scales found together: against brute force, and against what each step promises."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from quantmcu_kit.ir.plans import InputMoments
from quantmcu_kit.ir.types import DType
from quantmcu_kit.quantize import descent
from quantmcu_kit.quantize.rounding import round_rows
from quantmcu_kit.quantize.weights import Grid

BITS = [DType.I4, DType.I2]


def moments(k: int, groups: int, seed: int) -> InputMoments:
    """Of correlated columns, so many samples that nothing is shrunk to speak of."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(groups, 4000, k)) @ rng.normal(size=(groups, k, k))
    return InputMoments(columns.mean(axis=1), np.stack([np.cov(each.T, bias=True) for each in columns]), 10**9)


def errors(rows: np.ndarray, integers: np.ndarray, scale: np.ndarray, of: InputMoments) -> np.ndarray:
    """Expected squared error of each row's output, its mean aside."""
    away = integers * scale[..., None] - rows
    return np.einsum("grk,gkl,grl->gr", away, of.covariance, away)


def started(shape: tuple[int, int, int], grid: Grid, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random rows [groups, outputs, k], and the scales that clip nothing of them."""
    rows = np.random.default_rng(seed).normal(size=shape)
    return rows, np.abs(rows).max(axis=2) / grid.high


@pytest.mark.parametrize("dtype", BITS)
def test_is_never_worse_than_second_order_rounding_at_the_scale_given(dtype):
    grid, of = Grid(dtype), moments(24, 2, 0)
    rows, scale = started((2, 30, 24), grid, 1)
    integers, found = descent.fit_rows(rows, scale, scale / 100, of, grid)
    assert integers.min() >= grid.low and integers.max() <= grid.high
    plain = errors(rows, round_rows(rows, scale, of, grid), scale, of)
    better = errors(rows, integers, found, of)
    assert (better <= plain * 1.02).all(), "but for the damping of the covariance"
    assert better.sum() < 0.8 * plain.sum()


def test_is_near_the_best_there_is():
    """Every row of four 2-bit integers there is, each at its own best scale, in closed form."""
    grid, of = Grid(DType.I2), moments(4, 1, 2)
    rows, scale = started((1, 40, 4), grid, 3)
    integers, found = descent.fit_rows(rows, scale, scale / 100, of, grid)
    every = np.array(list(itertools.product(range(grid.low, grid.high + 1), repeat=4)), float)
    every, covariance = every[every.any(axis=1)], of.covariance[0]
    product, square = every @ covariance @ rows[0].T, np.einsum("nk,kl,nl->n", every, covariance, every)[:, None]
    whole = np.einsum("rk,kl,rl->r", rows[0], covariance, rows[0])
    best = (whole - np.where(product > 0, product, 0) ** 2 / square).min(axis=0)
    reached = errors(rows, integers, found, of)[0]
    assert (reached >= best * (1 - 1e-9)).all()
    plain = errors(rows, round_rows(rows, scale, of, grid), scale, of)
    assert reached.sum() < 1.6 * best.sum() < 0.15 * plain.sum()


@pytest.mark.parametrize("dtype", BITS)
def test_no_single_integer_is_better_changed(dtype):
    grid, of = Grid(dtype), moments(10, 1, 4)
    rows, scale = started((1, 12, 10), grid, 5)
    integers, found = descent.fit_rows(rows, scale, scale / 100, of, grid)
    reached = errors(rows, integers, found, of)
    for column, step in itertools.product(range(10), (-1, 1)):
        changed = integers.copy()
        changed[:, :, column] = np.clip(changed[:, :, column] + step, grid.low, grid.high)
        assert (errors(rows, changed, found, of) > reached * 0.97).all(), "but for the damping of the covariance"


def test_scales_keep_their_least():
    """A bias may need a scale far above what the weights want; a row of zeros has any."""
    grid, of = Grid(DType.I4), moments(6, 1, 6)
    rows, scale = started((1, 3, 6), grid, 7)
    rows[0, 2], scale[0, 2] = 0.0, 1e-6
    least = np.array([[10.0 * scale[0, 0], 0.0, 1e-6]])
    integers, found = descent.fit_rows(rows, scale, least, of, grid)
    assert (found >= least).all() and np.isfinite(found).all()
    assert not integers[0, 2].any()


def test_beyond_the_bound_of_work_rounding_is_all_there_is(monkeypatch):
    monkeypatch.setattr(descent, "_MOST_WORK", 5 * 8 * 8 - 1)
    grid, of = Grid(DType.I4), moments(8, 1, 8)
    rows, scale = started((1, 5, 8), grid, 9)
    integers, found = descent.fit_rows(rows, scale, scale / 100, of, grid)
    np.testing.assert_array_equal(integers, round_rows(rows, scale, of, grid))
    np.testing.assert_array_equal(found, scale)
