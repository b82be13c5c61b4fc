"""VDPC: which patches hold values that narrow widths would destroy. Those run at 8 bits, the others are searched.

Two rules. ``gaussian``, the paper's (Tao et al., DATE 2024): a patch holding a value outside the central probability
mass φ of a Gaussian fitted to the stage's input map is of class ``outlier``. ``error``: one that rounding and clipping
at the candidate width would harm beyond a threshold is. Magnitude alone proved a weak sign of harm.

What does not vary has no outliers: a constant map's own value is none, and any other value is one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.plans import MIXED, OUTLIER, TensorStats
from quantmcu_kit.ir.region import Interval
from quantmcu_kit.ir.schedule import Span
from quantmcu_kit.search.problem import WIDTHS


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A fitted normal distribution, or one per picture: float64 arrays of shape [] or [n]."""

    mean: np.ndarray
    std: np.ndarray


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


def fit_pictures(maps: np.ndarray) -> Gaussian:
    """One Gaussian per picture of [n, h, w, c]."""
    flat = _checked(maps).reshape(len(maps), -1).astype(np.float64)
    first = flat[:, :1]  # subtracted, so that equal values have a deviation of exactly zero
    return Gaussian(first[:, 0] + (flat - first).mean(axis=1), (flat - first).std(axis=1))


def outlier_mask(maps: np.ndarray, gaussian: Gaussian, mass: float) -> np.ndarray:
    """bool [n, h, w, c]: which values lie outside the central ``mass``."""
    z = central_threshold(mass)
    mean, std = (np.reshape(values, (-1, 1, 1, 1)) for values in (gaussian.mean, gaussian.std))
    return np.abs(_checked(maps) - mean) > z * std


def fresh_intervals(spans: Sequence[Span]) -> tuple[Interval, ...]:
    """Rows (or columns) of a stage's input that each of its steps reads for the first time: all that it reads where
    nothing is kept."""
    return tuple(Interval(span.start, span.end) for span in spans)


def even_intervals(size: int, count: int) -> tuple[Interval, ...]:
    """``count`` intervals that divide [0, size), no two differing by more than one."""
    edges = [index * size // count for index in range(count + 1)]
    return tuple(Interval(a, b) for a, b in zip(edges, edges[1:], strict=False))


def outlier_patches(mask: np.ndarray, rows: Sequence[Interval], columns: Sequence[Interval]) -> np.ndarray:
    """bool [n, rows, columns]: which patches hold an outlier. An empty patch holds none.

    Args:
        mask: bool [n, h, w, c].
        rows, columns: of the map, per row and column of patches; they may overlap.
    """
    return np.stack(
        [
            np.stack([mask[:, r.start : r.end, c.start : c.end].any(axis=(1, 2, 3)) for c in columns], axis=1)
            for r in rows
        ],
        axis=1,
    )


def rounded(values: np.ndarray, low: float, high: float, bits: int) -> np.ndarray:
    """float64: what is left of ``values`` after quantization to 2^bits levels over [low, high], 0 on a level."""
    scale = (high - low) / (2**bits - 1)
    if scale == 0:
        return np.zeros(np.shape(values))
    zero = round(-low / scale)
    return (np.clip(np.rint(values / scale) + zero, 0, 2**bits - 1) - zero) * scale


def patch_errors(
    maps: np.ndarray,
    gaussian: Gaussian,
    value_range: tuple[float, float],
    bits: int,
    rows: Sequence[Interval],
    columns: Sequence[Interval],
) -> np.ndarray:
    """float64 [n, rows, columns]: mean squared error of rounding and clipping per patch, in variances of the map.

    An error in a map that does not vary is infinite. An empty patch has none.

    Args:
        maps: float [n, h, w, c].
        value_range: (low, high), low ≤ 0 ≤ high, that the levels span.
        bits: the candidate width.
    """
    low, high = value_range
    if bits not in WIDTHS or not (math.isfinite(low) and math.isfinite(high) and low <= 0 <= high):
        raise QmkitError(
            "bad-range", f"{bits} bits cannot span [{low}, {high}]", why="a range is finite, and holds zero"
        )
    x = _checked(maps).astype(np.float64)
    squares = ((x - rounded(x, low, high, bits)) ** 2).mean(axis=3)
    errors = np.stack(
        [np.stack([_mean(squares[:, r.start : r.end, c.start : c.end]) for c in columns], axis=1) for r in rows], axis=1
    )
    variance = np.broadcast_to(np.reshape(gaussian.std, (-1, 1, 1)) ** 2, errors.shape)
    never_varies = np.where(errors > 0, np.inf, 0.0)
    return np.divide(errors, variance, out=never_varies, where=variance > 0)


def _mean(part: np.ndarray) -> np.ndarray:
    """Mean over pixels [n, h, w] -> [n]; 0 where there are none."""
    return part.mean(axis=(1, 2)) if part.shape[1] and part.shape[2] else np.zeros(len(part))


def harmed_patches(errors: np.ndarray, threshold: float) -> np.ndarray:
    """bool [n, rows, columns]: which patches' errors of :func:`patch_errors` are beyond a threshold."""
    if not threshold >= 0:
        raise QmkitError("bad-option", f"an error threshold of {threshold} is not possible", why="errors are squares")
    return errors > threshold


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


def _checked(maps: np.ndarray) -> np.ndarray:
    if maps.ndim != 4 or not maps.size:
        raise QmkitError("bad-shape", f"a map of shape {list(maps.shape)} cannot be classified", why="[n, h, w, c] can")
    if not np.isfinite(maps).all():
        raise _not_finite("a feature map")
    return maps


def _not_finite(what: str) -> QmkitError:
    return QmkitError(
        "not-finite",
        f"{what} cannot be classified",
        why="it holds NaN or infinities",
        hint="look for them in the network's weights and in the calibration data",
    )
