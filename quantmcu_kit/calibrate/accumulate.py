"""Statistics of one feature map, gathered picture by picture."""

from __future__ import annotations

import numpy as np

from quantmcu_kit.ir.plans import TensorStats
from quantmcu_kit.numerics.histogram import GrowingHistogram

_LARGEST = np.finfo(np.float32).max


class NotFiniteError(Exception):
    """A feature map holds NaN, or has overflowed.

    Attributes:
        index: of the tensor in the model file, None where it is not known.
    """

    def __init__(self, index: int | None = None) -> None:
        super().__init__(index)
        self.index = index


class Accumulator:
    """Extremes, histogram and per-channel extremes and sums of a feature map whose last axis is the channel."""

    def __init__(self, channels: int) -> None:
        self.histogram = GrowingHistogram()
        self.channel_low = np.full(channels, np.inf, np.float32)
        self.channel_high = np.full(channels, -np.inf, np.float32)
        self.channel_sum = np.zeros(channels, np.float64)
        self.rows = 0  # pixels seen, over all pictures

    def add(self, values: np.ndarray) -> None:
        """Take in float32 values of any shape whose size is a multiple of the channels. Raises NotFiniteError."""
        rows = values.reshape(-1, len(self.channel_sum))
        low, high = rows.min(axis=0), rows.max(axis=0)
        # NaN spreads through min and max; TFLite's kernels clamp what overflows to the largest float32.
        if not ((low > -_LARGEST).all() and (high < _LARGEST).all()):
            raise NotFiniteError
        self.histogram.add(rows, float(low.min()), float(high.max()))
        np.minimum(self.channel_low, low, out=self.channel_low)
        np.maximum(self.channel_high, high, out=self.channel_high)
        self.channel_sum += rows.sum(axis=0, dtype=np.float64)
        self.rows += len(rows)

    def merge(self, other: Accumulator) -> None:
        """Add what ``other`` saw."""
        self.histogram.merge(other.histogram)
        np.minimum(self.channel_low, other.channel_low, out=self.channel_low)
        np.maximum(self.channel_high, other.channel_high, out=self.channel_high)
        self.channel_sum += other.channel_sum
        self.rows += other.rows

    def stats(self) -> TensorStats:
        """What was seen, of at least one picture."""
        assert self.rows > 0
        return TensorStats(
            minimum=float(self.channel_low.min()),
            maximum=float(self.channel_high.max()),
            counts=self.histogram.counts,
            low=self.histogram.low,
            high=self.histogram.high,
            channel_mean=self.channel_sum / self.rows,
        )

    def pack(self) -> tuple[np.ndarray, ...]:
        """The state as arrays; :meth:`unpack` reverses it."""
        numbers = np.array([self.histogram.exponent, self.histogram.first, self.rows], np.int64)
        return numbers, self.histogram.counts, self.channel_low, self.channel_high, self.channel_sum

    @staticmethod
    def unpack(arrays: tuple[np.ndarray, ...]) -> Accumulator:
        """An accumulator from the arrays of :meth:`pack`."""
        numbers, counts, low, high, total = arrays
        result = Accumulator(len(total))
        exponent, first, result.rows = (int(number) for number in numbers)
        result.histogram = GrowingHistogram(exponent, first, counts.copy())
        result.channel_low, result.channel_high, result.channel_sum = low.copy(), high.copy(), total.copy()
        return result


PACKED_ARRAYS = 5  # arrays that one accumulator packs to
