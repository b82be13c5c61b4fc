"""VDPC: what classes of patches are made from (Tao et al., DATE 2024): the Gaussian of a stage's input, and the central
mass outside of which its values are outliers; shares of pictures in which patches are of a class.

The rules that use it are in ``precision.classes``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.plans import MIXED, OUTLIER, TensorStats
from quantmcu_kit.ir.region import Interval


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A fitted normal distribution."""

    mean: np.float64
    std: np.float64


def central_threshold(mass: float) -> float:
    """z such that a share ``mass`` of a normal distribution lies within z standard deviations of its mean.

    Raises:
        QmkitError: ``bad-option``: ``mass`` is not inside (0, 1).
    """
    if not 0 < mass < 1:
        raise QmkitError(
            "bad-option",
            f"--phi {mass} is not possible",
            why="it is the share of values that count as ordinary, between 0 and 1",
            hint="--phi 0.99",
        )
    # Through the small tail, whose float is exact to its last digit where ``mass`` is close to 1.
    return -NormalDist().inv_cdf((1 - mass) / 2)


def fit_statistics(stats: TensorStats) -> Gaussian:
    """Mean and standard deviation of a calibration histogram, every value at its bin's centre."""
    if not all(map(math.isfinite, (stats.minimum, stats.maximum, stats.low, stats.high))):
        raise _not_finite("the calibration statistics")
    total = stats.counts.sum() if len(stats.counts) else 0
    if total <= 0:
        raise QmkitError("bad-statistics", "the calibration statistics count nothing", hint="add calibration pictures")
    if stats.minimum == stats.maximum:
        return Gaussian(np.float64(stats.minimum), np.float64(0.0))
    mean = float(stats.counts @ stats.centres) / total
    variance = float(stats.counts @ (stats.centres - mean) ** 2) / total
    return Gaussian(np.float64(mean), np.float64(math.sqrt(variance)))


def even_intervals(size: int, count: int) -> tuple[Interval, ...]:
    """``count`` intervals that divide [0, size), no two differing by more than one."""
    edges = [index * size // count for index in range(count + 1)]
    return tuple(Interval(a, b) for a, b in zip(edges, edges[1:], strict=False))


def rounded(values: np.ndarray, low: float, high: float, bits: int) -> np.ndarray:
    """float64: what is left of ``values`` after quantization to 2^bits levels over [low, high], 0 on a level."""
    scale = (high - low) / (2**bits - 1)
    if scale == 0:
        return np.zeros(np.shape(values))
    zero = round(-low / scale)
    return (np.clip(np.rint(values / scale) + zero, 0, 2**bits - 1) - zero) * scale


def static_outliers(is_outlier: np.ndarray, share: float) -> np.ndarray:
    """bool [rows, columns]: positions that are of class ``outlier`` in more than a share of the pictures.

    Args:
        is_outlier: bool [n, rows, columns], n ≥ 1.
        share: in [0, 1): 0 makes a position an outlier that is one in any picture.
    """
    if not 0 <= share < 1:
        raise QmkitError(
            "bad-option",
            f"an outlier share of {share} is not possible",
            why="it is a share of pictures, from 0 to below 1",
        )
    return outlier_rate(is_outlier) > share


def outlier_rate(is_outlier: np.ndarray) -> np.ndarray:
    """float64 [rows, columns]: share of pictures in which each position is an outlier."""
    if not len(is_outlier):
        raise QmkitError("no-pictures", "patches are classified on calibration pictures, and there are none")
    return is_outlier.mean(axis=0)


def class_shares(rate: np.ndarray) -> Mapping[str, np.ndarray]:
    """Per class, the share of pictures in which each patch has it: what the search problem takes. A bool array is a
    static class map. A class that no patch ever has is left out."""
    outlier = np.asarray(rate, np.float64)
    return {name: share for name, share in ((OUTLIER, outlier), (MIXED, 1.0 - outlier)) if share.any()}


def _not_finite(what: str) -> QmkitError:
    return QmkitError(
        "not-finite",
        f"{what} cannot be classified",
        why="it holds NaN or infinities",
        hint="look for them in the network's weights and in the calibration data",
    )
