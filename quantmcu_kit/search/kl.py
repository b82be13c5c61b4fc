"""Measured loss: how far the network's output moves when one tensor gets fewer levels."""

from __future__ import annotations

import math
from collections.abc import Callable

from quantmcu_kit.search.problem import Choice, Key, Kind, Losses, Problem

# (choice, bits) -> Kullback-Leibler divergence of the network's output on calibration data, in nats, when this choice
# alone has ``bits`` and all others their widest.
Measure = Callable[[Choice, int], float]
Progress = Callable[[int, int], None]


def _silent(done: int, total: int) -> None:
    return None


def with_divergences(problem: Problem, measure: Measure, progress: Progress = _silent) -> Problem:
    """The problem with measured divergences as Ω; the widest candidate of a choice loses nothing.

    A divergence is never negative; what rounding makes of zero counts as zero.

    Args:
        measure: called once for every narrower candidate of every choice that is not fixed, in order.
        progress: called with (done, total) after each.

    Raises:
        QmkitError: ``bad-loss``: a divergence is NaN or infinite.
    """
    pending = [(index, bits) for index, choice in enumerate(problem.choices) for bits in choice.widths[1:]]
    tables: dict[int, dict[int, float]] = {}
    for done, (index, bits) in enumerate(pending, 1):
        choice = problem.choices[index]
        value = float(measure(choice, bits))
        table = tables.setdefault(index, {choice.widths[0]: 0.0})
        table[bits] = max(0.0, value) if math.isfinite(value) else math.nan
        progress(done, len(pending))
    maps: dict[Key, Losses] = {}
    weights: dict[str, Losses] = {}
    for index, table in tables.items():
        choice = problem.choices[index]
        if choice.kind is Kind.WEIGHTS:
            weights[choice.name] = table
        else:
            maps[choice.branch_class, choice.name] = table
    return problem.with_losses(maps, weights)
