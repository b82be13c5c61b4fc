"""95 % confidence intervals of measured accuracies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_Z = 1.959963984540054  # 97.5 % of a standard normal distribution lie below


@dataclass(frozen=True)
class Interval95:
    """An estimate with its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} .. {self.high:.2f})"


def share(hits: np.ndarray) -> Interval95:
    """Percentage of hits, bool [n], n ≥ 1; Wilson's score interval, which stays within 0 and 100."""
    n, p = len(hits), float(np.mean(hits))
    centre = (p + _Z * _Z / (2 * n)) / (1 + _Z * _Z / n)
    half = _Z / (1 + _Z * _Z / n) * float(np.sqrt(p * (1 - p) / n + _Z * _Z / (4 * n * n)))
    return Interval95(100 * p, 100 * max(0.0, centre - half), 100 * min(1.0, centre + half))


def paired_loss(before: np.ndarray, after: np.ndarray) -> Interval95:
    """Points of accuracy lost from ``before`` to ``after``, hits bool [n] on the same pictures, n ≥ 1.

    Only pictures whose answer changed count (as in McNemar's test), by the normal approximation. Where none changed,
    at most 3/n of all pictures would (the rule of three).
    """
    n = len(before)
    difference = before.astype(float) - after.astype(float)
    mean, half = float(difference.mean()), _Z * float(difference.std()) / np.sqrt(n)
    if not difference.any():
        half = 3 / n
    return Interval95(100 * mean, 100 * (mean - half), 100 * (mean + half))
