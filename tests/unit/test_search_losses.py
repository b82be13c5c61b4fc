"""Entropies against their definition on the values themselves, measured divergences by hand."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.plans import WHOLE, TensorStats
from quantmcu_kit.search.entropy import entropy, entropy_losses, level_counts, weight_stats, with_entropies
from quantmcu_kit.search.kl import with_divergences
from tests.support.search_problems import chain, map_choice, weight_choice


def stats_of(counts, low, high):
    return TensorStats(low, high, np.array(counts, np.int64), low, high)


def entropy_of(symbols):
    """The definition, over a list of symbols."""
    total = len(symbols)
    return -sum(n / total * math.log2(n / total) for n in Counter(symbols).values())


def test_entropies_by_hand():
    # Four bins over [0, 1] with centres 1/8, 3/8, 5/8, 7/8. At 2 bits there are levels at 0, 1/3, 2/3 and 1.
    stats = stats_of([1, 1, 1, 1], 0.0, 1.0)
    # 3/8 is nearest to level 0, 1.125 -> 1, 1.875 -> 2, 2.625 -> 3: every bin has a level of its own, 2 bits.
    assert level_counts(stats, 0.0, 1.0, 2).tolist() == [1, 1, 1, 1]
    assert entropy_losses(stats) == {8: 0.0, 4: 0.0, 2: 0.0}
    # Eight bins: levels 3·(1, 3, ..., 15)/16 = 0.19, 0.56, 0.94, 1.3, 1.7, 2.1, 2.4, 2.8 -> 0 1 1 1 2 2 2 3.
    stats = stats_of([1] * 8, 0.0, 1.0)
    assert level_counts(stats, 0.0, 1.0, 2).tolist() == [1, 3, 3, 1]
    lost = 3 - (2 * 1 / 8 * math.log2(8) + 2 * 3 / 8 * math.log2(8 / 3))
    assert entropy_losses(stats)[2] == pytest.approx(lost)
    # Over [0.25, 0.5]: 5/16 is at 0.75 -> 1, 7/16 at 2.25 -> 2; two are below, four above.
    assert level_counts(stats, 0.25, 0.5, 2).tolist() == [2, 1, 1, 4]
    assert entropy(np.array([5, 0, 0])) == 0.0


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(0, 511), min_size=1, max_size=300),
    st.floats(-4, 0),
    st.floats(0.1, 4),
    st.floats(0.3, 1.0),
)
def test_entropies_are_those_of_the_values(bins, low, high, shrink):
    """Values at bin centres, so that the histogram loses nothing."""
    width = (high - low) / 512
    values = [low + width * (index + 0.5) for index in bins]
    stats = TensorStats(min(values), max(values), np.bincount(bins, minlength=512), low, high)
    lower, upper = low * shrink, high * shrink

    def levels(bits):
        steps = 2**bits - 1
        return [math.floor((min(max(v, lower), upper) - lower) / (upper - lower) * steps + 0.5) for v in values]

    direct = {bits: entropy_of(levels(8)) - entropy_of(levels(bits)) for bits in (8, 4, 2)}
    found = entropy_losses(stats, value_range=(lower, upper))
    if min(values) == max(values):
        assert found == {8: 0.0, 4: 0.0, 2: 0.0}
    else:
        assert found == pytest.approx(direct, abs=1e-9)
        # 4 and 2 bits merge whole levels of 8 bits: 255 = 17 · 15 = 85 · 3, both odd.
        assert -1e-12 <= found[4] <= found[2] + 1e-12


def test_a_constant_map_loses_nothing():
    assert entropy_losses(TensorStats(0.0, 0.0, np.array([7]), 0.0, 0.1)) == {8: 0.0, 4: 0.0, 2: 0.0}
    assert entropy_losses(TensorStats(3.0, 3.0, np.array([0, 7]), 0.0, 4.0)) == {8: 0.0, 4: 0.0, 2: 0.0}


@pytest.mark.parametrize(
    "stats, value_range",
    [
        (TensorStats(float("nan"), 1.0, np.array([1]), 0.0, 1.0), None),
        (TensorStats(0.0, float("inf"), np.array([1]), 0.0, 1.0), None),
        (TensorStats(0.0, 1.0, np.array([0, 0]), 0.0, 1.0), None),
        (TensorStats(0.0, 1.0, np.array([2, -1]), 0.0, 1.0), None),
        (TensorStats(0.0, 1.0, np.array([], np.int64), 0.0, 1.0), None),
        (stats_of([1, 1], 0.0, 1.0), (1.0, 0.0)),
        (stats_of([1, 1], 0.0, 1.0), (0.0, float("nan"))),
    ],
)
def test_statistics_that_cannot_be_used(stats, value_range):
    with pytest.raises(QmkitError) as caught:
        entropy_losses(stats, value_range=value_range, name="m")
    assert caught.value.code == "bad-statistics"
    assert "'m'" in caught.value.message


def test_statistics_of_weights_are_per_channel():
    # Each channel by its own largest magnitude: 1 and -0.5; 0.5 and 1; the third is zero.
    stats = weight_stats(np.array([[2.0, -1.0], [10.0, 20.0], [0.0, 0.0]]), axis=0)
    assert (stats.minimum, stats.maximum, stats.low, stats.high) == (-0.5, 1.0, -1.0, 1.0)
    assert sorted(np.round(np.repeat(stats.centres, stats.counts), 3)) == [-0.5, 0.0, 0.0, 0.5, 1.0, 1.0]
    transposed = weight_stats(np.array([[2.0, 10.0, 0.0], [-1.0, 20.0, 0.0]]), axis=1)
    assert np.array_equal(transposed.counts, stats.counts)
    for broken in (np.array([[np.nan]]), np.array([[np.inf]]), np.zeros((2, 0))):
        with pytest.raises(QmkitError) as caught:
            weight_stats(broken, axis=0)
        assert caught.value.code == "bad-statistics"


def test_entropies_fill_a_problem():
    uniform, constant = stats_of([1] * 8, 0.0, 1.0), TensorStats(1.0, 1.0, np.array([1]), 0.0, 1.0)
    weights = weight_choice("w0", 10, 10)
    problem = chain()
    problem = chain(choices=(*problem.choices[:4], weights, *problem.choices[5:]))
    maps = {(WHOLE, "a"): uniform, (WHOLE, "b"): constant}
    filled = with_entropies(problem, maps, {"w0": stats_of([1, 1], -1.0, 1.0)})
    losses = {choice.name: choice.losses for choice in filled.choices}
    assert losses["a"] == tuple(entropy_losses(uniform)[bits] for bits in (8, 4, 2))
    assert losses["b"] == (0.0, 0.0, 0.0)
    assert losses["w0"] == (0.0, 0.0, 0.0)  # two values stay apart at any width
    narrower = with_entropies(problem, maps, {"w0": uniform}, {(WHOLE, "a"): (0.0, 0.5)})
    assert narrower.choices[1].losses[2] != losses["a"][2]
    with pytest.raises(QmkitError) as caught:
        with_entropies(problem, maps)
    assert caught.value.code == "no-loss"


def test_divergences_are_measured_once_each():
    choices = (map_choice("x", (8,)), map_choice("a"), map_choice("b", (8, 2)), weight_choice("w", 4, 4, (8, 4)))
    problem = chain(choices=choices, works=(), neighbours=())
    asked, steps = [], []

    def measure(choice, bits):
        asked.append((choice.name, bits))
        return {("a", 4): 0.25, ("a", 2): 1.5, ("b", 2): -1e-12, ("w", 4): 0.5}[choice.name, bits]

    found = with_divergences(problem, measure, lambda done, total: steps.append((done, total)))
    assert asked == [("a", 4), ("a", 2), ("b", 2), ("w", 4)]
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [choice.losses for choice in found.choices] == [(0.0,), (0.0, 0.25, 1.5), (0.0, 0.0), (0.0, 0.5)]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_divergence_that_is_no_number(value):
    with pytest.raises(QmkitError) as caught:
        with_divergences(chain(), lambda choice, bits: value)
    assert caught.value.code == "bad-loss"
