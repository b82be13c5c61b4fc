"""Arithmetic of regions, by hand."""

from quantmcu_kit.ir.region import Interval, Region
from quantmcu_kit.ir.types import Size


def test_windows():
    # 3 taps, stride 2, one row of padding before: outputs 0 and 1 see rows -1..3.
    assert Interval(0, 2).window(3, 2, 1, 1) == Interval(-1, 4)
    # 3 taps two apart, stride 1: output 4 sees rows 4, 6 and 8.
    assert Interval(4, 5).window(3, 1, 2, 0) == Interval(4, 9)
    assert Interval(5, 5).window(3, 1, 1, 0).size == 0


def test_clipping():
    assert Interval(-1, 4).clipped(3) == Interval(0, 3)
    assert Interval(-4, -1).clipped(3).size == 0 and Interval(5, 9).clipped(3).size == 0
    region = Region(Interval(-1, 4), Interval(2, 9)).clipped(Size(3, 8))
    assert region == Region(Interval(0, 3), Interval(2, 8)) and region.pixels == 18 and region.size == Size(3, 6)


def test_hull_and_shift():
    assert Interval(1, 3).hull(Interval(5, 6)) == Interval(1, 6)
    assert Interval(1, 3).shifted(-2) == Interval(-1, 1)
    whole = Region.whole(Size(4, 6))
    assert whole.pixels == 24 and whole.hull(Region(Interval(-1, 2), Interval(0, 7))) == Region(
        Interval(-1, 4), Interval(0, 7)
    )
