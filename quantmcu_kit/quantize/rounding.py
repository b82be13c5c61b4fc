"""Second-order rounding: each weight's rounding error is made up for by the weights that are not rounded yet.

For y = w·x, the error of rounding is E[(Δw·x)²] = Δw·C·Δwᵀ plus the square of the mean, which the bias takes back. With
the inputs' covariance C the best answer of the remaining weights to one fixed error is linear (optimal brain surgeon;
GPTQ, Frantar et al. 2022, algorithm 1).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from quantmcu_kit.ir.plans import InputMoments
from quantmcu_kit.quantize.weights import INT8, Grid

BLOCK = 32  # columns that are rounded before those behind them are told
_DAMPING = 0.01  # of the mean variance, so that directions never seen stay near plain rounding
_LEAST_VARIANCE = 1e-200  # of inputs that are always zero; its inverse is still a float64


def round_rows(rows: np.ndarray, scale: np.ndarray, moments: InputMoments, grid: Grid = INT8) -> np.ndarray:
    """Integers of the grid for weights, as float64 of the same shape.

    Args:
        rows: real weights [groups, outputs, k].
        scale: [groups, outputs].
        moments: of the columns that the rows are multiplied with.
    """
    order, spread = _order_and_spread(moments)
    real = np.take_along_axis(rows.astype(np.float64), order[:, None, :], 2)
    rounded = np.empty_like(real)
    for at in range(0, rows.shape[2], BLOCK):  # what a block leaves to the rest is one product of matrices
        own, errors = real[:, :, at : at + BLOCK], np.empty_like(real[:, :, at : at + BLOCK])
        for j in range(own.shape[2]):
            value = np.clip(np.rint(own[:, :, j] / scale), grid.low, grid.high)
            shares = spread[:, at + j, at + j : at + own.shape[2]]
            errors[:, :, j] = (own[:, :, j] - value * scale) / shares[:, :1]
            rounded[:, :, at + j] = value
            own[:, :, j + 1 :] -= errors[:, :, j, None] * shares[:, None, 1:]
        real[:, :, at + BLOCK :] -= errors @ spread[:, at : at + BLOCK, at + BLOCK :]
    result = np.empty_like(rounded)
    np.put_along_axis(result, np.broadcast_to(order[:, None, :], rounded.shape), rounded, 2)
    return result


@lru_cache(maxsize=256)  # a search rounds the same weights to several widths
def _order_and_spread(moments: InputMoments) -> tuple[np.ndarray, np.ndarray]:
    """The inputs from the most to the least active [groups, k]; and upper triangular [groups, k, k], whose row j says
    how a unit error in weight j is shared out among those after it: the Cholesky factor of the inverse covariance.

    With C = R·Rᵀ for an upper triangular R it is R⁻¹, and R is the Cholesky factor of C read backwards: C is never
    inverted, so that rounding does not cost it its definiteness.
    """
    damping = _DAMPING
    while True:
        covariance = damped_covariance(moments, damping)
        order = np.argsort(-np.diagonal(covariance, axis1=1, axis2=2), axis=1)
        ordered = np.take_along_axis(np.take_along_axis(covariance, order[:, :, None], 1), order[:, None, :], 2)
        try:
            backwards = np.linalg.cholesky(ordered[:, ::-1, ::-1])
        except np.linalg.LinAlgError:  # few samples, added up with rounding errors
            damping *= 10
            continue
        return order, np.linalg.inv(backwards[:, ::-1, ::-1])


def damped_covariance(moments: InputMoments, damping: float = _DAMPING) -> np.ndarray:
    """[groups, k, k], positive definite: shrunk towards its diagonal the more, the fewer samples it rests on."""
    covariance = moments.covariance
    k = covariance.shape[1]
    diagonal = np.diagonal(covariance, axis1=1, axis2=2)
    trust = moments.samples / (moments.samples + k)
    floor = damping * np.maximum(diagonal.mean(axis=1, keepdims=True), _LEAST_VARIANCE)
    identity = np.eye(k)
    return trust * covariance + identity * ((1 - trust) * diagonal + floor)[:, None, :]
