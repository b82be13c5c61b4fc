"""A histogram whose range grows by powers of two: one pass over the data, exact merging, no dependence on order."""

from __future__ import annotations

import math

import numpy as np

BINS = 2048  # at most; once the data spans that many, at least half of them stay in use
_CHUNK = 1 << 15  # elements binned at a time, so that the temporaries stay within the L2 cache
_MIN_EXPONENT = -100  # of the bin width: 2^100 is a float32, and what is smaller counts as zero


class GrowingHistogram:
    """Counts of floor(x / 2^exponent) over all float32 x seen.

    Bins are aligned to multiples of their width, so doubling the width merges them in pairs without error: the result
    is what one pass at the final width would have counted, whatever the order of the data. The range always holds 0.
    Only a negative x within 2^-126 of a bin's width of zero, where float32 underflows, may count as zero.

    Attributes:
        exponent: the bin width is 2^exponent.
        first: index of the first bin, which covers [first, first + 1) · 2^exponent.
        counts: int64, one per bin.
    """

    def __init__(self, exponent: int = _MIN_EXPONENT, first: int = 0, counts: np.ndarray | None = None) -> None:
        self.exponent = exponent
        self.first = first
        self.counts = np.zeros(1, np.int64) if counts is None else counts

    @property
    def low(self) -> float:
        """Lower edge of the first bin."""
        return math.ldexp(self.first, self.exponent)

    @property
    def high(self) -> float:
        """Upper edge of the last bin."""
        return math.ldexp(self.first + len(self.counts), self.exponent)

    def add(self, values: np.ndarray, low: float, high: float) -> None:
        """Count float32 ``values``, all finite, whose extremes are ``low`` and ``high``."""
        self._cover(low, high)
        flat = values.reshape(-1)
        factor = np.float32(math.ldexp(1.0, -self.exponent))
        for start in range(0, len(flat), _CHUNK):
            indices = np.floor(flat[start : start + _CHUNK] * factor)  # exact: a power of two, |index| <= 2^11
            indices -= np.float32(self.first)
            self.counts += np.bincount(indices.astype(np.int64), minlength=len(self.counts))

    def merge(self, other: GrowingHistogram) -> None:
        """Add what ``other`` counted; ``other`` may be widened on the way."""
        self._widen(other.exponent, other.first, other.first + len(other.counts) - 1)
        other._widen(self.exponent, self.first, self.first + len(self.counts) - 1)
        self.counts += other.counts

    def _cover(self, low: float, high: float) -> None:
        peak = max(abs(low), abs(high))
        exponent = self.exponent
        if peak:  # zero has no magnitude, and needs no width
            exponent = max(exponent, math.frexp(peak)[1] - BINS.bit_length())
        self._widen(exponent, math.floor(math.ldexp(low, -exponent)), math.floor(math.ldexp(high, -exponent)))

    def _widen(self, exponent: int, first: int, last: int) -> None:
        """Make bins [first, last] of width 2^exponent part of the range, and the bins at least that wide."""
        own_shift = max(0, exponent - self.exponent)
        shift = max(0, self.exponent - exponent)
        exponent = max(exponent, self.exponent)
        own_first, own_last = self.first >> own_shift, (self.first + len(self.counts) - 1) >> own_shift
        first, last = min(first >> shift, own_first, 0), max(last >> shift, own_last, 0)
        while last - first >= BINS:
            exponent, own_shift, first, last = exponent + 1, own_shift + 1, first >> 1, last >> 1
        if (exponent, first, last - first + 1) == (self.exponent, self.first, len(self.counts)):
            return
        counts = np.zeros(last - first + 1, np.int64)
        np.add.at(counts, ((self.first + np.arange(len(self.counts))) >> own_shift) - first, self.counts)
        self.exponent, self.first, self.counts = exponent, first, counts
