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
    """Extremes and histogram of a feature map."""

    def __init__(self) -> None:
        self.histogram = GrowingHistogram()
        self.minimum = np.inf
        self.maximum = -np.inf

    def add(self, values: np.ndarray) -> None:
        """Take in float32 values of any shape. Raises NotFiniteError."""
        low, high = float(values.min()), float(values.max())
        # NaN spreads through min and max; TFLite's kernels clamp what overflows to the largest float32.
        if not (low > -_LARGEST and high < _LARGEST):
            raise NotFiniteError
        self.histogram.add(values, low, high)
        self._widen(low, high)

    def merge(self, other: Accumulator) -> None:
        """Add what ``other`` saw."""
        self.histogram.merge(other.histogram)
        self._widen(other.minimum, other.maximum)

    def _widen(self, low: float, high: float) -> None:
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)

    def stats(self) -> TensorStats:
        """What was seen, of at least one picture."""
        assert self.minimum <= self.maximum
        histogram = self.histogram
        return TensorStats(self.minimum, self.maximum, histogram.counts, histogram.low, histogram.high)

    def pack(self) -> tuple[np.ndarray, ...]:
        """The state as arrays; :meth:`unpack` reverses it."""
        place = np.array([self.histogram.exponent, self.histogram.first], np.int64)
        return place, self.histogram.counts, np.array([self.minimum, self.maximum])

    @staticmethod
    def unpack(arrays: tuple[np.ndarray, ...]) -> Accumulator:
        """An accumulator from the arrays of :meth:`pack`."""
        place, counts, extremes = arrays
        result = Accumulator()
        result.histogram = GrowingHistogram(int(place[0]), int(place[1]), counts.copy())
        result.minimum, result.maximum = map(float, extremes)
        return result


PACKED_ARRAYS = 3  # arrays that one accumulator packs to
