"""One width for all maps and one for all weights: by hand, and against every pair."""

import dataclasses

import pytest
from hypothesis import given, settings

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.search.problem import Budgets, Kind
from quantmcu_kit.search.strategies import run
from quantmcu_kit.search.uniform import uniform
from quantmcu_kit.search.vdqs import Settings
from tests.support.search_problems import bits_of, chain, random_problems, sizes_of, weight_choice

ANY = Settings()


def with_weights(losses=(0.0, 1.0, 4.0), **budgets):
    """The chain with weights of 10 elements each that may go down."""
    problem = chain(budgets=Budgets(**budgets))
    weights = tuple(weight_choice(f"w{i}", 10, 10, losses=losses) for i in range(3))
    return dataclasses.replace(problem, choices=(*problem.choices[:4], *weights))


def test_no_budget_leaves_all_wide():
    assert bits_of(uniform(chain(), ANY), "x", "a", "b", "y") == (8, 8, 8, 8)


@pytest.mark.parametrize("limit, bits", [(48, (8, 8)), (47, (4, 4)), (32, (4, 4)), (31, (2, 2)), (24, (2, 2))])
def test_memory_by_hand(limit, bits):
    # x 16 bytes and a 32 at 8 bits, 16 at 4, 8 at 2; x is fixed.
    result = uniform(chain(budgets=Budgets(ram_bytes=limit)), ANY)
    assert bits_of(result, "x", "a", "b", "y") == (8, *bits, 8)
    assert set(result.weights.values()) == {8}


@pytest.mark.parametrize("limit, bits", [(30, 8), (29, 4), (15, 4), (14, 2), (9, 2)])
def test_flash_by_hand(limit, bits):
    # Three tensors of 10 bytes: 5 at 4 bits, 3 at 2.
    result = uniform(with_weights(flash_bytes=limit), ANY)
    assert set(result.weights.values()) == {bits}
    assert bits_of(result, "a", "b") == (8, 8)


@pytest.mark.parametrize("losses, widths", [((0.0, 0.1, 9.0), (8, 4)), ((0.0, 8.0, 9.0), (4, 8))])
def test_of_two_widest_pairs_the_one_that_loses_less(losses, widths):
    # 8 x 8: 11,200. Maps at 4: 100·64 + 50·32 + 25·32 = 8,800, weights at 4: 5,600; maps lose 1.5 in all.
    result = uniform(with_weights(losses, bitops=9_000), ANY)
    assert (bits_of(result, "a")[0], result.weights["w0"]) == widths


def test_what_may_not_have_a_width_takes_the_next():
    problem = chain(budgets=Budgets(bitops=9_000))
    b = dataclasses.replace(problem.choices[2], widths=(8, 2), losses=(0.0, 2.0))
    problem = dataclasses.replace(problem, choices=(*problem.choices[:2], b, *problem.choices[3:]))
    assert bits_of(uniform(problem, ANY), "a", "b") == (4, 2)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(problem=random_problems())
def test_against_every_pair(problem):
    def given_widths(maps, weights):
        wanted = [(c.widths, weights if c.kind is Kind.WEIGHTS else maps) for c in problem.choices]
        return tuple(max((w for w in widths if w <= bits), default=min(widths)) for widths, bits in wanted)

    def fits(bits):
        limits = problem.budgets.ram_bytes, problem.budgets.flash_bytes, problem.budgets.bitops
        return all(limit is None or size <= limit for size, limit in zip(sizes_of(problem, bits), limits, strict=True))

    fitting = {given_widths(m, w) for m in (8, 4, 2) for w in (8, 4, 2) if fits(given_widths(m, w))}
    try:
        bits = problem.assignment(run("uniform", problem, ANY).precision)
    except QmkitError as error:
        assert error.code == "infeasible-budget" and not fitting
        return
    assert bits in fitting
    wider = [other for other in fitting if other != bits and all(a >= b for a, b in zip(other, bits, strict=True))]
    assert not wider
