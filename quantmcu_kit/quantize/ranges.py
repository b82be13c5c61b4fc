"""The range of a feature map, chosen from its calibration histogram."""

from __future__ import annotations

import numpy as np

from quantmcu_kit.ir.plans import TensorStats
from quantmcu_kit.ir.types import Quant

LEVELS = 255  # steps of an int8 map
_PERCENTILE = 99.99
_SHRINK = np.linspace(1.0, 0.3, 36)  # candidate edges as fractions of the extremes
_MIN_SCALE = 1e-9  # a map that is constantly zero still needs a scale


def choose_range(stats: TensorStats, method: str) -> tuple[float, float]:
    """(low, high) with low ≤ 0 ≤ high.

    Args:
        method: ``minmax`` takes the extremes; ``percentile`` cuts 0.01 % of the values, half on each side where both
            exist; ``mse`` minimises the expected squared error of rounding and clipping.
    """
    low, high = min(stats.minimum, 0.0), max(stats.maximum, 0.0)
    if method == "minmax" or low == high:
        return low, high
    if method == "percentile":
        return _percentile(stats, low, high)
    assert method == "mse", method
    return _least_error(stats, low, high)


def quant_of_range(low: float, high: float) -> Quant:
    """int8 quantization that covers [low, high], with 0.0 on a level exactly."""
    scale = np.float32(max((high - low) / LEVELS, _MIN_SCALE))
    zero = int(np.clip(np.rint(-128 - low / float(scale)), -128, 127))
    return Quant.per_tensor(float(scale), zero)


def _percentile(stats: TensorStats, low: float, high: float) -> tuple[float, float]:
    share = np.cumsum(stats.counts) / max(1, stats.counts.sum())
    tail = (1 - _PERCENTILE / 100) / (2 if low < 0 < high else 1)
    edges = np.linspace(stats.low, stats.high, len(stats.counts) + 1)
    first = int(np.searchsorted(share, tail, side="right"))
    last = int(np.searchsorted(share, 1 - tail, side="left"))
    return (
        min(0.0, max(low, float(edges[first]))) if low < 0 else 0.0,
        max(0.0, min(high, float(edges[last + 1]))) if high > 0 else 0.0,
    )


def _least_error(stats: TensorStats, low: float, high: float) -> tuple[float, float]:
    candidates = [
        (expected_error(stats, low * a, high * b), low * a, high * b)
        for a in (_SHRINK if low < 0 else (1.0,))
        for b in (_SHRINK if high > 0 else (1.0,))
    ]
    _, best_low, best_high = min(candidates)
    return best_low, best_high


def expected_error(stats: TensorStats, low: float, high: float) -> float:
    """Sum over the histogram of the squared error that quantizing to [low, high] makes: step²/12 inside, the distance
    to the edge outside."""
    x, step = stats.centres, (high - low) / LEVELS
    outside = np.maximum(low - x, 0.0) + np.maximum(x - high, 0.0)
    rounding = np.where((x == 0.0) | (outside > 0), 0.0, step * step / 12)
    return float(stats.counts @ (outside * outside + rounding))
