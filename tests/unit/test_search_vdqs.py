"""VDQS: scores and repairs by hand, budgets against every assignment there is."""

import dataclasses
import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantmcu_kit.errors import EXIT_FAILED, QmkitError
from quantmcu_kit.search.problem import Budgets, bitops
from quantmcu_kit.search.vdqs import Settings, vdqs
from tests.support.search_problems import (
    assignments,
    bits_of,
    chain,
    chain_of,
    map_choice,
    random_problems,
    sizes_of,
    weight_choice,
)

HALF = Settings(trade_off=0.5)


def test_scores_by_hand():
    result = vdqs(chain(), HALF)
    scores = {(each.tensor, each.bits): each for each in result.scores}
    # Saved: a feeds 50 MACs: 50·8·(8 − 4) = 1600, 50·8·(8 − 2) = 2400; b feeds 25: 800, 1200. Divided by 2400.
    # Lost: a 1, 4; b 0.5, 2. Divided by 4.
    by_hand = {("a", 4): (0.25, 2 / 3), ("a", 2): (1.0, 1.0), ("b", 4): (0.125, 1 / 3), ("b", 2): (0.5, 0.5)}
    for key, (omega, phi) in by_hand.items():
        assert scores[key].omega == pytest.approx(omega)
        assert scores[key].phi == pytest.approx(phi)
        assert scores[key].score == pytest.approx((phi - omega) / 2)
    # The best: a at 4 bits scores 5/24, at 8 and 2 zero; b at 4 bits 5/48, at 8 and 2 zero.
    assert bits_of(result, "x", "a", "b", "y") == (8, 4, 4, 8)
    assert result.bitops == 100 * 64 + 50 * 8 * 4 + 25 * 8 * 4
    assert result.bitops_int8 == 175 * 64


@pytest.mark.parametrize("trade_off, bits", [(0.0, (2, 2)), (1.0, (8, 8))])
def test_only_cost_or_only_accuracy(trade_off, bits):
    assert bits_of(vdqs(chain(), Settings(trade_off)), "a", "b") == bits


def test_equal_scores_keep_the_wider():
    nothing_lost = tuple(dataclasses.replace(c, losses=(0.0,) * len(c.widths)) for c in chain().choices)
    # At λ = 1 every candidate scores zero.
    assert bits_of(vdqs(chain(choices=nothing_lost), Settings(1.0)), "a", "b") == (8, 8)


def test_memory_by_hand_a_fixed_neighbour():
    # n0 holds x (4 pixels, 4 channels: 16 bytes) and a (4 · 8 · 4 bits: 16 bytes) = 32. x cannot go down, so a goes to
    # 2 bits: 16 + 8 = 24. n1 then holds 8 + 8.
    result = vdqs(chain(budgets=Budgets(ram_bytes=26)), HALF)
    assert bits_of(result, "a", "b") == (2, 4)
    assert result.ram_bytes == 24


def test_memory_by_hand_the_one_that_loses_least():
    # x has one channel: n0 holds 4 + 16 = 20. n1 holds a 16 + b 8 = 24 > 20: a would fall by 5/24, b by 5/48.
    result = vdqs(chain(x_channels=1, budgets=Budgets(ram_bytes=20)), HALF)
    assert bits_of(result, "a", "b") == (4, 2)
    assert result.ram_bytes == 20  # n0 and n1


def test_a_map_of_one_channel_does_not_go_down_for_memory():
    # b has one channel now: 4 bytes at any width. It loses less than a, but would save nothing.
    problem = chain(budgets=Budgets(ram_bytes=32))
    blocks = [dataclasses.replace(block, channels=1) for block in problem.neighbours[1].blocks[1:]]
    together = dataclasses.replace(problem.neighbours[1], blocks=(problem.neighbours[1].blocks[0], *blocks))
    result = vdqs(dataclasses.replace(problem, neighbours=(together,)), Settings(1.0))
    assert bits_of(result, "a", "b") == (4, 8)  # a 32 -> 16, b 4


def with_weights(**budgets):
    """Two weight tensors of 100 (runs of 10) and 64 elements (runs of 16) that lose 0.3, 2.0 and 0.1, 3.0."""
    problem = chain(budgets=Budgets(**budgets))
    weights = (
        weight_choice("w0", 100, 10, losses=(0.0, 0.3, 2.0)),
        weight_choice("w1", 64, 16, losses=(0.0, 0.1, 3.0)),
        problem.choices[6],
    )
    return dataclasses.replace(problem, choices=(*problem.choices[:4], *weights))


@pytest.mark.parametrize(
    "flash, bits",
    [
        # w0 takes 100, 50 or 30 bytes (a run of 10 at 2 bits: 3 bytes), w1 64, 32 or 16, the fixed one 10: 174 in all.
        (174, (8, 8)),
        # Loss per byte: w0 0.3/50 = 0.006, 2/70 = 0.029; w1 0.1/32 = 0.0031, 3/48 = 0.063.
        (173, (8, 4)),  # 142
        (141, (4, 8)),  # 92, and 124 with w1 back at 8 bits: w0 alone saves enough
        # Now w0 1.7/20 = 0.085, w1 2.9/16 = 0.18.
        (91, (2, 4)),  # 72
        (71, (2, 2)),  # 56
    ],
)
def test_flash_by_hand(flash, bits):
    result = vdqs(with_weights(flash_bytes=flash), HALF)
    assert (result.weights["w0"], result.weights["w1"]) == bits
    assert result.flash_bytes <= flash


def test_weights_stay_without_a_budget_and_take_part_where_asked():
    assert set(vdqs(with_weights(), Settings(0.0)).weights.values()) == {8}
    scored = vdqs(with_weights(), Settings(0.0, scores_weights=True))
    assert scored.weights == {"w0": 2, "w1": 2, "w2": 8}


def test_bitops_by_hand():
    # λ = 1 leaves all at 8 bits: 11,200. Loss per BitOP saved, normalised by 4: a 4 bits 0.25/1600, 2 bits 1/2400;
    # b 4 bits 0.125/800 — the same as a, which saves more and comes first: 9,600.
    assert bits_of(vdqs(chain(budgets=Budgets(bitops=9_700)), Settings(1.0)), "a", "b") == (4, 8)
    # Then b at 4 bits: 8,800.
    assert bits_of(vdqs(chain(budgets=Budgets(bitops=9_599)), Settings(1.0)), "a", "b") == (4, 4)
    # Then a at 2 bits, 0.75/800 = b at 2 bits, 0.375/400: a saves more. 8,000.
    assert bits_of(vdqs(chain(budgets=Budgets(bitops=8_799)), Settings(1.0)), "a", "b") == (2, 4)


def both_narrow(work, weight_bits, input_bits, output_bits):
    """Cycles of kernels that gain only where weights and input have 4 bits at most; narrow weights alone cost more."""
    if weight_bits > 4:
        return work.macs * 1.0
    return work.macs * (0.5 if input_bits[0] <= 4 else 1.25)


def test_cycles_fall_by_lowering_weights_and_input_together():
    problem = dataclasses.replace(with_weights(), cycles=both_narrow, budgets=Budgets(cycles=150))
    # All at 8 bits: 175 cycles. Only n1 has both a map and weights that can go down: a, w1 -> 50 cycles become 25.
    result = vdqs(problem, Settings(1.0))
    assert bits_of(result, "a", "b") == (4, 8)
    assert result.weights == {"w0": 8, "w1": 4, "w2": 8}
    assert result.cycles == 150
    with pytest.raises(QmkitError) as caught:
        vdqs(dataclasses.replace(problem, budgets=Budgets(cycles=149)), HALF)
    assert caught.value.code == "infeasible-budget"
    assert "150" in caught.value.why and "reached" in caught.value.why


def test_cycles_as_what_is_saved():
    def by_input(work, weight_bits, input_bits, output_bits):
        return 1000.0 * (input_bits[0] == 8) if work.name == "n2" else 0.0

    # Only n2, which reads b, gets faster: Φ(b) = 1 at 4 and 2 bits, Φ(a) = 0.
    result = vdqs(chain(cycles=by_input, by_cycles=True), HALF)
    assert bits_of(result, "a", "b") == (8, 4)
    assert result.cycles == 0


def test_exact_arena_is_repaired_too():
    # An arena of 10 bytes more than the neighbours say.
    problem = chain(budgets=Budgets(ram_bytes=36))

    def arena(plan):
        return max(each.bytes(problem.assignment(plan)) for each in problem.neighbours) + 10

    # At 4 bits: n0 16 + 16 = 32, the arena 42. Then a at 2 bits: 34.
    result = vdqs(dataclasses.replace(problem, arena=arena), HALF)
    assert bits_of(result, "a", "b") == (2, 4)
    assert result.ram_bytes == 34
    with pytest.raises(QmkitError) as caught:
        vdqs(dataclasses.replace(problem, arena=arena, budgets=Budgets(ram_bytes=33)), HALF)
    assert (caught.value.code, caught.value.where) == ("infeasible-budget", "n0")
    assert "34" in caught.value.why


@pytest.mark.parametrize(
    "budgets, named, least",
    [
        ({"ram_bytes": 23}, "bytes of RAM", "24"),  # x 16 + a 8
        ({"flash_bytes": 29}, "bytes of flash", "30"),  # three fixed weight tensors of 10 bytes
        ({"bitops": 7_599}, "BitOPs", "7,600"),  # 100·64 + 50·16 + 25·16
    ],
)
def test_infeasible_budgets_say_which_and_the_smallest(budgets, named, least):
    with pytest.raises(QmkitError) as caught:
        vdqs(chain(budgets=Budgets(**budgets)), HALF)
    error = caught.value
    assert (error.code, error.exit_code) == ("infeasible-budget", EXIT_FAILED)
    assert named in error.message
    assert f" {least}," in error.why
    assert error.where == ("n0" if "ram_bytes" in budgets else "")
    allowed = {name: int(least.replace(",", "")) for name in budgets}
    vdqs(chain(budgets=Budgets(**allowed)), HALF)  # the smallest is possible


@pytest.mark.parametrize("trade_off", [-0.1, 1.1, float("nan")])
def test_trade_off_out_of_range(trade_off):
    with pytest.raises(QmkitError, match="--trade-off"):
        Settings(trade_off)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(random_problems(), st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]), st.booleans())
def test_budgets_hold_wherever_any_assignment_meets_them(problem, trade_off, scores_weights):
    budgets = (problem.budgets.ram_bytes, problem.budgets.flash_bytes, problem.budgets.bitops)

    def meets(bits):
        return all(limit is None or size <= limit for size, limit in zip(sizes_of(problem, bits), budgets, strict=True))

    is_possible = any(meets(bits) for bits in assignments(problem))
    chosen = Settings(trade_off, scores_weights)
    if not is_possible:
        with pytest.raises(QmkitError) as caught:
            vdqs(problem, chosen)
        smallest = [min(column) for column in zip(*(sizes_of(problem, b) for b in assignments(problem)), strict=True)]
        broken = [f" {least:,.0f}," for least, limit in zip(smallest, budgets, strict=True) if limit and least > limit]
        assert any(least in caught.value.why for least in broken)
        return
    result = vdqs(problem, chosen)
    bits = problem.assignment(result.precision)
    assert meets(bits)
    assert vdqs(problem, chosen) == result
    ram, flash, work = sizes_of(problem, bits)
    assert (result.ram_bytes, result.flash_bytes, result.bitops) == (ram, flash, work)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(random_problems(), st.sampled_from([0.2, 0.5, 0.8]))
def test_without_budgets_no_assignment_of_maps_scores_higher(problem, trade_off):
    free = dataclasses.replace(problem, budgets=Budgets())
    result = vdqs(free, Settings(trade_off))
    score = {(each.tensor, each.bits): each.score for each in result.scores}
    maps = [choice for choice in free.choices if choice.name.startswith("m")]
    best = max(
        sum(score[choice.name, bits] for choice, bits in zip(maps, widths, strict=True))
        for widths in itertools.product(*(choice.widths for choice in maps))
    )
    found = sum(score[c.name, bits] for c, bits in zip(maps, bits_of(result, *(c.name for c in maps)), strict=True))
    assert found == pytest.approx(best)


def test_a_hundred_maps_take_less_than_five_seconds():
    problem = chain_of(100)
    least, most = (sizes_of(problem, bits) for bits in (problem.narrowest, problem.widest))
    ram, flash, work = (low + (high - low) // 10 for low, high in zip(least, most, strict=True))
    budgets = Budgets(ram, flash, work, 1.0 * work)
    started = time.perf_counter()
    result = vdqs(dataclasses.replace(problem, budgets=budgets, cycles=bitops), Settings(1.0))
    assert time.perf_counter() - started < 5
    assert result.bitops <= work and result.ram_bytes <= ram and result.flash_bytes <= flash


def test_nothing_to_choose():
    fixed = tuple(dataclasses.replace(c, widths=(8,), losses=(0.0,)) for c in chain().choices)
    assert bits_of(vdqs(chain(choices=fixed), HALF), "a", "b") == (8, 8)
    assert map_choice("z").losses == (0.0, 0.0, 0.0)
