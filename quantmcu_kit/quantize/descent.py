"""Integers and scales of few levels, found together.

For y = w·x the error of integers q at a scale s is (q·s − w)·C·(q·s − w)ᵀ with the inputs' covariance C. Second-order
rounding at several scales gives each row its start. From there every integer in turn becomes what is best with all
others as they are, and the scale what is best for the integers, (q·C·wᵀ) / (q·C·qᵀ). No step makes the error larger
(QuantEase, Behdin et al. 2023, has the same descent without scales).
"""

from __future__ import annotations

import numpy as np

from quantmcu_kit.ir.plans import InputMoments
from quantmcu_kit.quantize.rounding import BLOCK, damped_covariance, round_rows
from quantmcu_kit.quantize.weights import Grid

_FRACTIONS = (1.0, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.05, 1.1, 1.2, 1.3, 1.4, 1.6)  # of a scale: starts
_ROUNDS = 3  # of a scale and integers
_PASSES = 4  # over the integers of a round, at most
_MOST_WORK = 4e8  # outputs x inputs², beyond which there is one start and no descent: a classifier gains less than 1 %


def fit_rows(
    rows: np.ndarray, scale: np.ndarray, least: np.ndarray, moments: InputMoments, grid: Grid
) -> tuple[np.ndarray, np.ndarray]:
    """(integers of the grid, as float64 of the rows' shape; scales).

    Args:
        rows: real weights [groups, outputs, k].
        scale, least: [groups, outputs]: about the scale that is looked for, and what it must not be below.
        moments: of the columns that the rows are multiplied with.
    """
    rows, covariance = rows.astype(np.float64), damped_covariance(moments)
    _, outputs, k = rows.shape
    if outputs * k * k > _MOST_WORK:
        return round_rows(rows, scale, moments, grid), scale
    integers, scale = _start(rows, [np.maximum(scale * each, least) for each in _FRACTIONS], moments, covariance, grid)
    for _ in range(_ROUNDS):
        scale = np.maximum(_best_scale(rows, integers, scale, covariance), least)
        integers = _descend(rows, integers, scale, covariance, grid)
    return integers, scale


def _start(
    rows: np.ndarray, scales: list[np.ndarray], moments: InputMoments, covariance: np.ndarray, grid: Grid
) -> tuple[np.ndarray, np.ndarray]:
    """The best scale of each row, and its integers."""
    found = [round_rows(rows, scale, moments, grid) for scale in scales]
    errors = [_errors(rows, integers, scale, covariance) for integers, scale in zip(found, scales, strict=True)]
    best = np.argmin(errors, axis=0)[None]
    integers = np.take_along_axis(np.stack(found), best[..., None], 0)[0]
    return integers, np.take_along_axis(np.stack(scales), best, 0)[0]


def _errors(rows: np.ndarray, integers: np.ndarray, scale: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """[groups, outputs]."""
    away = integers * scale[:, :, None] - rows
    return np.einsum("grk,grk->gr", away @ covariance, away)


def _best_scale(rows: np.ndarray, integers: np.ndarray, scale: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """[groups, outputs]: as it is where integers are all zero, or where none above zero is best."""
    along = integers @ covariance
    product, square = np.einsum("grk,grk->gr", along, rows), np.einsum("grk,grk->gr", along, integers)
    is_found = (product > 0) & (square > 0)
    return np.where(is_found, product / np.where(is_found, square, 1.0), scale)


def _descend(
    rows: np.ndarray, integers: np.ndarray, scale: np.ndarray, covariance: np.ndarray, grid: Grid
) -> np.ndarray:
    """Integers of which none alone can be changed for the better, or which are out of passes."""
    integers, width = integers.copy(), scale[:, :, None]
    slope = (integers * width - rows) @ covariance  # half of the error's gradient in what is dequantized
    curvature = np.diagonal(covariance, axis1=1, axis2=2)[:, None, :] * width
    for _ in range(_PASSES):
        before = integers.copy()
        for at in range(0, rows.shape[2], BLOCK):
            block = slice(at, at + BLOCK)
            own, down, steep = integers[:, :, block], slope[:, :, block].copy(), curvature[:, :, block]
            within = covariance[:, block, block]
            for j in range(own.shape[2]):
                new = np.clip(np.rint(own[:, :, j] - down[:, :, j] / steep[:, :, j]), grid.low, grid.high)
                moved = (new - own[:, :, j]) * scale
                own[:, :, j] = new
                down += moved[:, :, None] * within[:, None, j]
            slope += ((own - before[:, :, block]) * width) @ covariance[:, block]
        if np.array_equal(integers, before):
            break
    return integers
