"""The range of a feature map, chosen from its calibration histogram."""

from __future__ import annotations

import numpy as np

from quantmcu_kit.ir.plans import TensorStats
from quantmcu_kit.ir.types import DType, Quant

_PERCENTILE = 99.99
_SHRINK = np.linspace(1.0, 0.3, 36)  # candidate edges as fractions of the extremes
_MIN_SCALE = 1e-9  # a map that is constantly zero still needs a scale
_STEPS = np.geomspace(2.0, 0.02, 60)  # candidate steps below 8 bits, as fractions of the step that covers the extremes
_FINER = np.linspace(0.93, 1.07, 15)  # around the best of them, which lie 8 % apart


def choose_range(stats: TensorStats, method: str, bits: int = 8) -> tuple[float, float]:
    """(low, high) with low ≤ 0 ≤ high.

    Args:
        method: ``minmax`` takes the extremes; ``percentile`` cuts 0.01 % of the values, half on each side where both
            exist; ``mse`` minimises the expected squared error of rounding and clipping.
        bits: the map's width, 8, 4 or 2; it matters to ``mse`` alone.
    """
    low, high = min(stats.minimum, 0.0), max(stats.maximum, 0.0)
    if method == "minmax" or low == high:
        return low, high
    if method == "percentile":
        return _percentile(stats, low, high)
    assert method == "mse", method
    return _least_error(stats, low, high) if bits == 8 else _least_error_of_levels(stats, low, high, bits)


def quant_of_range(low: float, high: float, dtype: DType = DType.I8) -> Quant:
    """Quantization that covers [low, high], with 0.0 on a level exactly."""
    scale = np.float32(max((high - low) / (dtype.high - dtype.low), _MIN_SCALE))
    zero = int(np.clip(np.rint(dtype.low - low / float(scale)), dtype.low, dtype.high))
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
    """Sum over the histogram of the squared error that 8-bit quantization to [low, high] makes: step²/12 inside, the
    distance to the edge outside."""
    x, step = stats.centres, (high - low) / (DType.I8.high - DType.I8.low)
    outside = np.maximum(low - x, 0.0) + np.maximum(x - high, 0.0)
    rounding = np.where((x == 0.0) | (outside > 0), 0.0, step * step / 12)
    return float(stats.counts @ (outside * outside + rounding))


def _least_error_of_levels(stats: TensorStats, low: float, high: float, bits: int) -> tuple[float, float]:
    """As :func:`_least_error` for so few levels that each counts: every zero-point with many steps."""
    steps = (1 << bits) - 1
    zeros = range(steps + 1) if low < 0 < high else (0 if low == 0 else steps,)
    cover = (high - low) / steps

    def best(candidates: list[tuple[int, float]]) -> tuple[float, int, float]:
        return min((level_error(stats, step, zero, bits), zero, step) for zero, step in candidates)

    _, zero, step = best([(zero, cover * fraction) for zero in zeros for fraction in _STEPS])
    _, zero, step = best([(zero, step * fraction) for fraction in _FINER])
    return -zero * step, (steps - zero) * step


def level_error(stats: TensorStats, step: float, zero: int, bits: int) -> float:
    """Sum over the histogram of the squared distance to the nearest of the levels step · (q - zero), q < 2^bits.

    A value in the bin of 0.0 is 0.0, as most are behind a ReLU.
    """
    width = (stats.high - stats.low) / len(stats.counts)
    x = stats.centres
    x = np.where((x > 0) & (x <= width), 0.0, x)
    nearest = np.clip(np.rint(x / step), -zero, (1 << bits) - 1 - zero)
    return float(stats.counts @ np.square(x - nearest * step))
