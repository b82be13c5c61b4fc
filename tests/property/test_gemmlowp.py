"""Fixed-point exponential and reciprocal against float64, whose own error is far below the bounds."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from quantmcu_kit.numerics.gemmlowp import exp_on_negative_values, one_over_one_plus_x, reciprocal

ONE = 2.0**31  # 1.0 in Q0.31
SUM_INTEGER_BITS = 12
positive = arrays.arrays(np.int64, 64, elements=st.integers(0, 2**31 - 1))
plain = settings(deadline=None, derandomize=True)


@plain
@given(positive)
def test_exponential(magnitude):
    x = -magnitude
    assert np.all(np.abs(exp_on_negative_values(x) / ONE - np.exp(x / 2.0**26)) < 2.0**-22)


def test_exponential_at_the_ends():
    """exp(0) saturates at the largest Q0.31 number; exp(-32) is nothing."""
    assert exp_on_negative_values(np.array([0, -(2**31)], np.int64)).tolist() == [2**31 - 1, 0]


@plain
@given(positive)
def test_reciprocal_of_one_plus_x(x):
    assert np.all(np.abs(one_over_one_plus_x(x) / ONE - 1 / (1 + x / ONE)) < 2.0**-28)


@plain
@given(arrays.arrays(np.int64, 64, elements=st.integers(1, 2**31 - 1)))
def test_reciprocal(x):
    scale, bits = reciprocal(x, SUM_INTEGER_BITS)
    assert np.all((scale >= 2**30 - 8) & (scale < 2**31))
    real = x / 2.0 ** (31 - SUM_INTEGER_BITS)
    np.testing.assert_allclose(scale / ONE * 2.0**-bits, 1 / real, rtol=2.0**-27)
