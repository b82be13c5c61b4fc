"""Per-channel symmetric weights of 8, 4 or 2 bits, and int32 biases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.types import DType, Quant

BIAS_LIMIT = 2.0**28  # leaves three bits for the products that are added to the bias
_SHRINK = np.linspace(1.0, 0.1, 46)  # candidate scales below 8 bits, as fractions of the one that covers the peak


@dataclass(frozen=True)
class Grid:
    """The integers that a weight may become.

    8 and 4 bits are symmetric: -128 is not used, as in TFLite, nor -8, as packed products are smaller without it. Of
    the four levels of 2 bits none is given away.
    """

    dtype: DType

    @property
    def low(self) -> int:
        """The least integer: -127, -7 or -2."""
        return self.dtype.low if self.dtype is DType.I2 else -self.dtype.high

    @property
    def high(self) -> int:
        """The greatest integer: 127, 7 or 1."""
        return self.dtype.high


INT8 = Grid(DType.I8)


def weight_scale(weights: np.ndarray, axis: int, least: np.ndarray, grid: Grid = INT8) -> np.ndarray:
    """float32 scale per channel, at which the largest weight becomes the grid's; 1 for a channel of zeros.

    Args:
        weights: float32.
        axis: the output channel's axis.
        least: per channel, from :func:`least_scale`.
    """
    others = tuple(index for index in range(weights.ndim) if index != axis)
    peak = np.abs(weights).max(axis=others, initial=0.0)
    return np.maximum(np.where(peak > 0, peak / grid.high, 1.0), least).astype(np.float32)


def least_error_scale(rows: np.ndarray, cover: np.ndarray, importance: np.ndarray, grid: Grid) -> np.ndarray:
    """Scales [groups, outputs] at which rounding to nearest errs least, the largest weights clipped where that helps.

    Args:
        rows: real weights [groups, outputs, k].
        cover: the scales [groups, outputs] that clip nothing.
        importance: of each weight's squared error [groups, k]: the variance of what it is multiplied with.
    """
    best, least = cover, np.full(cover.shape, np.inf)
    for fraction in _SHRINK:
        scale = (cover * fraction)[:, :, None]
        error = np.clip(np.rint(rows / scale), grid.low, grid.high) * scale - rows
        total = np.einsum("grk,gk->gr", error * error, importance)
        best, least = np.where(total < least, scale[:, :, 0], best), np.minimum(total, least)
    return best


def round_to_nearest(weights: np.ndarray, quant: Quant, grid: Grid = INT8) -> np.ndarray:
    """Integers nearest to ``weights``, as int8."""
    return quant.quantize(weights, grid.low, grid.high).astype(np.int8)


def least_scale(bias: np.ndarray, in_scale: float) -> np.ndarray:
    """The smallest weight scale per channel with which the bias fits its int32.

    Dead channels have weights like 1e-30 beside an ordinary bias; at this scale such weights round to zero.
    """
    return np.maximum(np.abs(bias) / (in_scale * BIAS_LIMIT), np.finfo(np.float32).tiny)


def quantize_bias(bias: np.ndarray, in_scale: float, weights: Quant) -> tuple[np.ndarray, Quant]:
    """int32 bias with scale in_scale · weight scale, and its quantization."""
    scale = np.float32(in_scale) * weights.scale
    values = np.rint(bias.astype(np.float64) / scale.astype(np.float64))
    assert np.abs(values).max(initial=0) < 2 * BIAS_LIMIT, "least_scale keeps biases small"
    return values.astype(np.int32), Quant(scale, np.zeros(len(scale), np.int32), 0)
