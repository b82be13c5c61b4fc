"""Per-channel symmetric int8 weights and int32 biases."""

from __future__ import annotations

import numpy as np

from quantmcu_kit.ir.types import Quant

LIMIT = 127  # symmetric: -128 is not used, as in TFLite
BIAS_LIMIT = 2.0**28  # leaves three bits for the products that are added to the bias


def weight_scale(weights: np.ndarray, axis: int, least: np.ndarray) -> np.ndarray:
    """float32 scale per channel, at which the largest weight becomes 127; 1 for a channel of zeros.

    Args:
        weights: float32.
        axis: the output channel's axis.
        least: per channel, from :func:`least_scale`.
    """
    others = tuple(index for index in range(weights.ndim) if index != axis)
    peak = np.abs(weights).max(axis=others, initial=0.0)
    return np.maximum(np.where(peak > 0, peak / LIMIT, 1.0), least).astype(np.float32)


def round_to_nearest(weights: np.ndarray, quant: Quant) -> np.ndarray:
    """int8 weights nearest to ``weights``."""
    return quant.quantize(weights, -LIMIT, LIMIT).astype(np.int8)


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
