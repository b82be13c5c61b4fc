"""The rules of Rusci et al. 2019, by hand; and where their account of memory is not enough."""

import dataclasses

import pytest
from hypothesis import given, settings

from quantmcu_kit.errors import EXIT_FAILED, QmkitError
from quantmcu_kit.ir.plans import WHOLE
from quantmcu_kit.search.memory_driven import cut_activations, cut_weights, layers_of, memory_driven, rom_bytes
from quantmcu_kit.search.problem import Block, Budgets, Neighbours, Problem, Work
from quantmcu_kit.search.strategies import run
from quantmcu_kit.search.vdqs import Settings
from tests.support.search_problems import FIXED, WIDTHS, chain_of, map_choice, random_problems, sizes_of, weight_choice

ANY = Settings()


def network(sizes, weights=None, **budgets):
    """A chain of layers. ``sizes``: elements of each map, one pixel; the first and the last are fixed.

    ``weights``: elements of each layer's, one row; the last map's channels are its elements.
    """
    count = len(sizes)
    weights = weights or [8] * (count - 1)
    maps = [
        map_choice(f"m{i}", FIXED if i in (0, count - 1) else WIDTHS, elements=size) for i, size in enumerate(sizes)
    ]
    tensors = [weight_choice(f"w{i}", size, size) for i, size in enumerate(weights)]
    works = tuple(Work(f"n{i}", WHOLE, 10, count + i, (i,), i + 1) for i in range(count - 1))
    blocks = [Block(i, 1, size) for i, size in enumerate(sizes)]
    near = tuple(Neighbours(f"n{i}", (blocks[i], blocks[i + 1])) for i in range(count - 1))
    return Problem((*maps, *tensors), works, near, Budgets(**budgets))


def activations(sizes, limit):
    """(widths of the maps, whether the rule is kept)."""
    problem = network(sizes)
    bits = list(problem.widest)
    return_value = cut_activations(problem, layers_of(problem), limit, bits)
    return bits[: len(sizes)], return_value


@pytest.mark.parametrize(
    "sizes, limit, bits",
    [
        # All fit.
        ((10, 20, 10), 30, (8, 8, 8)),
        # n0 holds 10 + 20 > 29. Equally wide, the input is not larger: the output goes down: 10 + 10. n1: 10 + 10.
        ((10, 20, 10), 29, (8, 4, 8)),
        # n0: 20 + 10 fits 30. n1: 10 + 40 > 30: its output goes down, 10 + 20. n2: 20 + 4.
        ((20, 10, 40, 4), 30, (8, 8, 4, 8)),
        # n1: 40 + 10 > 45: the input takes more, so the forward sweep leaves it; n0: 4 + 40 fits. The backward sweep
        # halves n1's input: 20 + 10.
        ((4, 40, 10, 4), 45, (8, 4, 8, 8)),
        # n1: 32 + 32 > 40. As large, so the output goes: 32 + 16 > 40 still. Now the output is narrower: no more
        # forward. n2: 16 + 4. Backward: n1's input is wider: 16 + 16. n0: 4 + 16.
        ((4, 32, 32, 4), 40, (8, 4, 4, 8)),
        # n1 needs 8 + 8 <= 20: forward the output to 4, then (narrower now) nothing; backward the input to 4 (16 + 16),
        # equal and not larger, so it stops. Second round: forward the output to 2 (16 + 8); backward the input to 2.
        ((4, 32, 32, 4), 20, (8, 2, 2, 8)),
        # n0's output may go to 4, then it is narrower than the input, which is the network's and stays.
        ((8, 32, 8), 24, (8, 4, 8)),
    ],
)
def test_activations_by_hand(sizes, limit, bits):
    assert activations(sizes, limit) == (list(bits), True)


@pytest.mark.parametrize("sizes, limit", [((8, 32, 8), 23), ((32, 8, 8), 36)])
def test_where_the_sweeps_get_no_further(sizes, limit):
    """Of the first layer the input stays at 8 bits, and the output may go to 4, or not at all where it is smaller."""
    bits, is_kept = activations(sizes, limit)
    assert not is_kept and bits == [8, 4 if sizes[1] > sizes[0] else 8, 8]


def test_both_ends_at_their_narrowest_are_refused():
    with pytest.raises(QmkitError) as caught:
        run("memory-driven", network((4, 32, 32, 4), ram_bytes=15), ANY)
    assert (caught.value.code, caught.value.exit_code) == ("infeasible-budget", EXIT_FAILED)


def weights_of(problem, limit):
    bits = list(problem.widest)
    cut_weights(problem, layers_of(problem), limit, bits)
    return bits[len(problem.choices) // 2 + 1 :]


@pytest.mark.parametrize(
    "limit, bits",
    [
        # 300 + 290 + 50 bytes of weights, and 10 per output channel: 4 + 2 + 1 channels, 70. 710 in all.
        (710, (8, 8, 8)),
        # Shares 0.469, 0.453, 0.078: the second is within 0.05 of the first, and the first comes first: 560.
        (709, (4, 8, 8)),
        # 150, 290, 50: the second alone is the largest: 145. 415.
        (559, (4, 4, 8)),
        # 150, 145, 50 of 345: the first again, 75: 340. Then the second: 72.5: 267.5.
        (414, (2, 4, 8)),
        (339, (2, 2, 8)),
        # 75 and 72.5 may go no further; of what may, the third is the largest: 25, then 12.5: 230.
        (260, (2, 2, 4)),
        (230, (2, 2, 2)),
    ],
)
def test_weights_by_hand(limit, bits):
    problem = network((4, 4, 2, 1), (300, 290, 50))
    assert weights_of(problem, limit) == list(bits)


def test_the_share_of_those_within_reach_is_of_all_weights():
    # Shares 0.25, 0.30, 0.45 of 1,000: none is within 0.05 of the third. Then 0.225 of 775 at 4 bits: 0.32, 0.39, 0.29;
    # 0.32 is not within 0.05 of 0.39 either.
    assert weights_of(network((1, 1, 1, 1), (250, 300, 450)), 1029) == [8, 8, 4]
    assert weights_of(network((1, 1, 1, 1), (250, 300, 450)), 800) == [8, 4, 4]


def test_constants_count_once_per_layer():
    problem = network((4, 4, 2, 1), (300, 290, 50))
    assert rom_bytes(problem, layers_of(problem), problem.widest) == 640 + 70
    # Two classes of patches are two works of one layer.
    doubled = dataclasses.replace(problem, works=(*problem.works, dataclasses.replace(problem.works[0])))
    assert rom_bytes(doubled, layers_of(doubled), problem.widest) == 640 + 70


def test_the_exact_budget_of_flash_is_kept_too():
    # Rows of 3 elements take a byte each at 2 bits, not 0.75; code takes 30.
    problem = network((4, 4, 2, 1), (300, 290, 50), flash_bytes=700)
    problem = dataclasses.replace(problem, fixed_flash_bytes=130)
    result = run("memory-driven", problem, ANY)  # the paper's 640 + 70 - 150 fits already; exactly 490 + 130
    assert (result.weights["w0"], result.weights["w1"]) == (4, 8)
    tighter = dataclasses.replace(problem, fixed_flash_bytes=211)
    assert run("memory-driven", tighter, ANY).weights == {"w0": 4, "w1": 4, "w2": 8}


def test_what_stays_alive_is_counted_exactly():
    """A map that lives on beside a layer is not in the rule, but in the budget: the largest one goes down."""
    problem = network((4, 24, 16, 4))
    kept = Neighbours("n1", (Block(0, 1, 4), Block(1, 1, 24), Block(2, 1, 16)))
    problem = dataclasses.replace(
        problem, neighbours=(problem.neighbours[0], kept, problem.neighbours[2]), budgets=Budgets(ram_bytes=40)
    )
    assert memory_driven(problem, ANY).feature_maps["m1"] == {
        WHOLE: 4
    }  # 24 + 16 keeps the rule; 4 + 24 + 16 do not fit
    assert memory_driven(problem, ANY).ram_bytes == 32


def test_a_stuck_first_layer_is_repaired():
    # 32 + 8 > 39: the input is larger, so only it should go down, and it is the network's.
    result = memory_driven(network((32, 8, 8), ram_bytes=39), ANY)
    assert result.feature_maps["m1"] == {WHOLE: 4} and result.ram_bytes == 36


def test_bitops_by_hand():
    # 10 MACs a layer: 640 each. All shares are equal: the first halves its weights (its input stays): 320; then the
    # second, whose weights go first of equals, and the third.
    problem = network((4, 4, 4, 4), bitops=1599)
    result = memory_driven(problem, ANY)
    assert [result.weights[f"w{i}"] for i in range(3)] == [4, 4, 8] and result.bitops == 1280
    result = memory_driven(dataclasses.replace(problem, budgets=Budgets(bitops=900)), ANY)
    # Then 320 each: the first again (160), the second halves its input, the wider now.
    assert [result.weights[f"w{i}"] for i in range(3)] == [2, 4, 4]
    assert [result.feature_maps[f"m{i}"][WHOLE] for i in range(4)] == [8, 8, 8, 8] and result.bitops == 800


@settings(max_examples=150, deadline=None, derandomize=True)
@given(problem=random_problems())
def test_budgets_are_met_or_refused(problem):
    narrowest = sizes_of(problem, problem.narrowest)
    limits = problem.budgets.ram_bytes, problem.budgets.flash_bytes, problem.budgets.bitops
    possible = all(limit is None or size <= limit for size, limit in zip(narrowest, limits, strict=True))
    try:
        bits = problem.assignment(run("memory-driven", problem, ANY).precision)
    except QmkitError as error:
        assert error.code == "infeasible-budget" and not possible
        return
    assert all(limit is None or size <= limit for size, limit in zip(sizes_of(problem, bits), limits, strict=True))


def test_every_search_is_the_same():
    problem = dataclasses.replace(chain_of(40), budgets=Budgets(ram_bytes=500, flash_bytes=4000, bitops=900_000))
    assert memory_driven(problem, ANY) == memory_driven(problem, ANY)
