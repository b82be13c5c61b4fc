"""Boxes of pixels within feature maps: what a patch computes, and what it needs for that."""

from __future__ import annotations

from dataclasses import dataclass

from quantmcu_kit.ir.types import Size


@dataclass(frozen=True)
class Interval:
    """Rows or columns [start, end). Before it is clipped, one may reach beyond the map, into its padding."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """How many rows or columns."""
        return max(self.end - self.start, 0)

    def clipped(self, limit: int) -> Interval:
        """What of it lies within [0, limit)."""
        start = min(max(self.start, 0), limit)
        return Interval(start, max(min(self.end, limit), start))

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that holds both."""
        return Interval(min(self.start, other.start), max(self.end, other.end))

    def shifted(self, by: int) -> Interval:
        """Moved towards the end."""
        return Interval(self.start + by, self.end + by)

    def window(self, kernel: int, stride: int, dilation: int, before: int) -> Interval:
        """The inputs of a sliding window's outputs; ``before`` is the padding in front of the first input."""
        first = self.start * stride - before
        return Interval(first, first + (self.size - 1) * stride + (kernel - 1) * dilation + 1 if self.size else first)


@dataclass(frozen=True)
class Region:
    """Rows and columns of a feature map, all channels."""

    rows: Interval
    columns: Interval

    @staticmethod
    def whole(size: Size) -> Region:
        """All of a map."""
        return Region(Interval(0, size.h), Interval(0, size.w))

    @property
    def size(self) -> Size:
        """Height and width."""
        return Size(self.rows.size, self.columns.size)

    @property
    def pixels(self) -> int:
        """How many."""
        return self.rows.size * self.columns.size

    def clipped(self, limit: Size) -> Region:
        """What of it lies within a map."""
        return Region(self.rows.clipped(limit.h), self.columns.clipped(limit.w))

    def hull(self, other: Region) -> Region:
        """The smallest region that holds both."""
        return Region(self.rows.hull(other.rows), self.columns.hull(other.columns))
