"""The paper's proxy of accuracy: how much entropy a tensor loses when it has fewer levels, H_8 − H_b."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.plans import TensorStats
from quantmcu_kit.search.problem import INT8, WIDTHS, Key, Losses, Problem

Range = tuple[float, float]
_WEIGHT_BINS = 4096  # 16 to an 8-bit level


def level_counts(stats: TensorStats, low: float, high: float, bits: int) -> np.ndarray:
    """int64 [2^bits]: how many values fall on each of 2^bits equidistant levels from ``low`` to ``high``.

    A bin counts as its centre; what lies outside counts at the ends.
    """
    steps = 2**bits - 1
    share = (np.clip(stats.centres, low, high) - low) / (high - low)
    levels = np.floor(share * steps + 0.5).astype(np.int64)
    counts = np.zeros(steps + 1, np.int64)
    np.add.at(counts, levels, stats.counts)
    return counts


def entropy(counts: np.ndarray) -> float:
    """−Σ p·log2 p in bits, of counts that are not all zero."""
    p = counts[counts > 0] / counts.sum()
    return max(0.0, float(-(p * np.log2(p)).sum()))


def entropy_losses(
    stats: TensorStats, widths: Sequence[int] = WIDTHS, value_range: Range | None = None, *, name: str = ""
) -> Losses:
    """H_8 − H_b per width b. A constant tensor loses nothing.

    Args:
        value_range: (low, high) that the levels span; by default the extremes, and zero.
        name: of the tensor, for the error.

    Raises:
        QmkitError: ``bad-statistics``: NaN, infinities, an empty or negative histogram, a range that is none.
    """
    low, high = value_range or (min(stats.minimum, 0.0), max(stats.maximum, 0.0))
    edges = (stats.minimum, stats.maximum, stats.low, stats.high, low, high)
    if not all(math.isfinite(edge) for edge in edges) or low > high:
        raise _bad_statistics(
            name, f"its range is [{low}, {high}], its values lie in [{stats.minimum}, {stats.maximum}]"
        )
    if not len(stats.counts) or stats.counts.min() < 0 or not stats.counts.sum():
        raise _bad_statistics(name, "its histogram counts nothing")
    if low == high or stats.minimum == stats.maximum:
        return dict.fromkeys(widths, 0.0)
    reference = entropy(level_counts(stats, low, high, INT8))
    return {bits: reference - entropy(level_counts(stats, low, high, bits)) for bits in widths}


def weight_stats(weights: np.ndarray, axis: int, *, name: str = "") -> TensorStats:
    """Statistics of a weight tensor over [-1, 1]: each channel of ``axis`` divided by its largest magnitude."""
    real = np.moveaxis(np.asarray(weights, np.float64), axis, 0).reshape(weights.shape[axis], -1)
    if not real.size or not np.isfinite(real).all():
        raise _bad_statistics(name, "it is empty, or holds NaN or infinities")
    peak = np.abs(real).max(axis=1, keepdims=True)
    scaled = np.divide(real, peak, out=np.zeros_like(real), where=peak > 0)
    counts, _ = np.histogram(scaled, _WEIGHT_BINS, (-1.0, 1.0))
    return TensorStats(float(scaled.min()), float(scaled.max()), counts.astype(np.int64), -1.0, 1.0)


def with_entropies(
    problem: Problem,
    maps: Mapping[Key, TensorStats],
    weights: Mapping[str, TensorStats] | None = None,
    ranges: Mapping[Key, Range] | None = None,
) -> Problem:
    """The problem with entropies lost as Ω.

    Args:
        maps: by (branch class, map); a class without an entry has that of ``WHOLE``.
        weights: by tensor, of :func:`weight_stats`.
        ranges: chosen for the maps, where they are not the extremes.
    """
    widths = sorted({bits for choice in problem.choices for bits in choice.widths}, reverse=True)
    chosen = ranges or {}
    return problem.with_losses(
        {key: entropy_losses(stats, widths, chosen.get(key), name=key[1]) for key, stats in maps.items()},
        {name: entropy_losses(stats, widths, (-1.0, 1.0), name=name) for name, stats in (weights or {}).items()},
    )


def _bad_statistics(name: str, why: str) -> QmkitError:
    return QmkitError(
        "bad-statistics",
        f"the statistics of {name!r} cannot be used",
        why=why,
        hint="look for NaN or Inf in the network's weights and in the calibration data",
    )
