"""The growing histogram counts what numpy.histogram counts in one go at the final edges, whatever the order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from quantmcu_kit.numerics.histogram import BINS, GrowingHistogram

plain = settings(max_examples=80, deadline=None, derandomize=True)


def _scaled(values: np.ndarray, exponent: int) -> np.ndarray:
    return np.ldexp(values, exponent).astype(np.float32)


# Values up to 2^-40 .. 2^40 in magnitude, so that ranges grow, and none so near zero that float32 underflows.
chunk = st.builds(
    _scaled,
    arrays.arrays(np.float32, st.integers(1, 40), elements=st.floats(-1, 1, width=16, allow_subnormal=False)),
    st.integers(-40, 40),
)
zeros = st.just(np.zeros(3, np.float32))
chunks = st.lists(chunk | zeros, min_size=1, max_size=6)


def filled(*parts: np.ndarray) -> GrowingHistogram:
    histogram = GrowingHistogram()
    for part in parts:
        histogram.add(part, float(part.min()), float(part.max()))
    return histogram


def state(histogram: GrowingHistogram) -> tuple:
    return histogram.exponent, histogram.first, histogram.counts.tolist()


def assert_as_numpy(histogram: GrowingHistogram, data: np.ndarray) -> None:
    edges = np.ldexp(histogram.first + np.arange(len(histogram.counts) + 1.0), histogram.exponent)
    assert (histogram.low, histogram.high) == (edges[0], edges[-1])
    assert histogram.low <= data.min() and data.max() < histogram.high
    np.testing.assert_array_equal(histogram.counts, np.histogram(data.astype(np.float64), edges)[0])


@plain
@given(chunks)
def test_counts_are_numpys_at_the_final_edges(parts):
    histogram = filled(*parts)
    assert_as_numpy(histogram, np.concatenate(parts))
    assert len(histogram.counts) <= BINS and histogram.counts.dtype == np.int64
    assert histogram.low <= 0 < histogram.high


@plain
@given(chunks, st.randoms(use_true_random=False))
def test_order_does_not_matter(parts, random):
    expected = state(filled(np.concatenate(parts)))
    assert state(filled(*parts)) == expected
    random.shuffle(parts)
    assert state(filled(*parts)) == expected


@plain
@given(chunks, chunks)
def test_merging_is_counting_both(left, right):
    expected = state(filled(*left, *right))
    forward, backward = filled(*left), filled(*right)
    forward.merge(filled(*right))
    backward.merge(filled(*left))
    assert state(forward) == state(backward) == expected


def test_merging_with_an_empty_one_changes_nothing():
    data = np.array([0.3, -0.7], np.float32)
    into, other = GrowingHistogram(), filled(data)
    into.merge(filled(data))
    other.merge(GrowingHistogram())
    assert state(into) == state(other) == state(filled(data))


# By hand: the width is the smallest power of two that covers 0 and the data with at most 2048 bins.
@pytest.mark.parametrize(
    ("values", "exponent", "first", "bins"),
    [
        ([0.0], -100, 0, 1),
        ([1.0], -10, 0, 1025),  # 1 lies on an edge: it begins bin 1024 of width 2^-10
        ([2047.9], 0, 0, 2048),
        ([2048.0], 1, 0, 1025),
        ([5.0, 5.0, 5.0], -8, 0, 1281),
        ([-1.0], -10, -1024, 1025),  # bin 0, which holds zero, is always there
        ([-3.0, 3.0], -8, -768, 1537),
        ([-1.0, 1.0], -9, -512, 1025),  # 2049 bins at 2^-10 would be one too many
        ([-0.001, 1000.0], -1, -1, 2002),
    ],
)
def test_range_and_width(values, exponent, first, bins):
    data = np.array(values, np.float32)
    histogram = filled(data)
    assert (histogram.exponent, histogram.first, len(histogram.counts)) == (exponent, first, bins)
    assert_as_numpy(histogram, data)
    assert histogram.counts.sum() == len(values)


def test_full_range_of_float32():
    largest = np.finfo(np.float32).max
    histogram = filled(np.array([-largest, -1.0, 0.0, 1e-45, largest], np.float32))
    assert (histogram.exponent, histogram.first, len(histogram.counts)) == (118, -1024, 2048)
    expected = {0: 1, 1023: 1, 1024: 2, 2047: 1}
    assert {int(index): int(histogram.counts[index]) for index in np.flatnonzero(histogram.counts)} == expected


def test_values_smaller_than_the_least_width_count_as_zero():
    histogram = filled(np.array([0.0, 1e-35, -1e-35], np.float32))
    assert (histogram.exponent, histogram.first, histogram.counts.tolist()) == (-100, -1, [1, 2])


def test_zeros_do_not_coarsen_what_is_small():
    """A map that is all zero on one picture, such as behind a ReLU, says nothing about the width."""
    small = np.linspace(0, 1e-4, 50, dtype=np.float32)
    histogram = filled(np.zeros(10, np.float32), small)
    assert len(histogram.counts) > BINS // 2
    assert_as_numpy(histogram, np.concatenate([np.zeros(10, np.float32), small]))


def test_more_elements_than_one_chunk():
    """Counting proceeds in pieces of 32768 elements."""
    data = np.random.default_rng(0).normal(size=(5, 100_001 // 5 + 1)).astype(np.float32)
    histogram = filled(data)
    assert histogram.counts.sum() == data.size
    assert_as_numpy(histogram, data.reshape(-1))
