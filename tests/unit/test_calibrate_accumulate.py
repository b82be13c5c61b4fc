"""Statistics of one feature map, gathered in pieces, are numpy's over all of it."""

from __future__ import annotations

import numpy as np
import pytest

from quantmcu_kit.calibrate.accumulate import PACKED_ARRAYS, Accumulator, NotFiniteError

CHANNELS = 3


def pictures(count, seed=0):
    """float32 [count, 4, 5, CHANNELS] whose magnitude differs from picture to picture."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 4, 5, CHANNELS)) * 10.0 ** rng.integers(-3, 4, (count, 1, 1, 1))).astype(np.float32)


def filled(data):
    accumulator = Accumulator()
    for picture in data:
        accumulator.add(picture[None])
    return accumulator


def assert_stats(accumulator, data):
    stats = accumulator.stats()
    assert (stats.minimum, stats.maximum) == (data.min(), data.max())
    assert stats.low <= stats.minimum and stats.maximum < stats.high
    edges = np.linspace(stats.low, stats.high, len(stats.counts) + 1)
    np.testing.assert_array_equal(stats.counts, np.histogram(data.astype(np.float64), edges)[0])


@pytest.mark.parametrize("count", [1, 2, 9])
def test_statistics(count):
    data = pictures(count)
    assert_stats(filled(data), data)


@pytest.mark.parametrize("split", [0, 1, 4, 8])
def test_merging(split):
    data = pictures(8)
    left, right = filled(data[:split]), filled(data[split:])
    left.merge(right)
    assert_stats(left, data)


def test_maps_of_one_vector_per_picture():
    data = np.array([[1, 2, 3], [3, 2, 1], [5, 2, -4]], np.float32)
    assert_stats(filled(data), data)


def test_packing_keeps_everything():
    data = pictures(5)
    packed = filled(data).pack()
    assert len(packed) == PACKED_ARRAYS
    for array in packed:
        array.setflags(write=False)  # as arrays that came through a pipe
    restored = Accumulator.unpack(packed)
    assert_stats(restored, data)
    more = pictures(3, seed=1) * 1000
    restored.merge(filled(more))
    assert_stats(restored, np.concatenate([data, more]))


LARGEST = np.finfo(np.float32).max  # what TFLite's kernels clamp an overflow to


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, LARGEST, -LARGEST])
@pytest.mark.parametrize("place", [0, 17, -1])
def test_what_is_not_finite_is_noticed(value, place):
    data = pictures(1)
    data.reshape(-1)[place] = value
    with pytest.raises(NotFiniteError):
        filled(data)
