"""HAQ: states, actions, repair and reward by hand; what an agent finds; resuming; the missing extra."""

import dataclasses
import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantmcu_kit.errors import EXIT_ENVIRONMENT, EXIT_FAILED, QmkitError
from quantmcu_kit.ir.plans import WHOLE
from quantmcu_kit.search import haq as module
from quantmcu_kit.search.haq import Episodes, Training, haq, repair, reward_of, states_of, width_of
from quantmcu_kit.search.problem import Block, Budgets, Neighbours, Problem, Work
from quantmcu_kit.search.resume import digest, remembering
from quantmcu_kit.search.strategies import find, run
from quantmcu_kit.search.vdqs import Settings
from tests.support.search_problems import chain, chain_of, map_choice, random_problems, sizes_of, weight_choice

SHORT = Training(episodes=16, patience=16, warm_up=6)
NO_STATE = Settings(1.0)


def needs_extra():
    pytest.importorskip("stable_baselines3")


def layers():
    """x 8x8x3 -> a 4x4x16 (3x3, stride 2) -> b 4x4x16 (depthwise 3x3) -> y 4x4x10 (pointwise), and a sum of a and b."""
    choices = (
        map_choice("x", (8,), elements=192),
        map_choice("a", elements=256),
        map_choice("b", elements=256),
        map_choice("y", (8,), elements=160),
        weight_choice("wa", 432, 27),
        weight_choice("wb", 144, 16),
        weight_choice("wy", 160, 16),
    )
    works = (
        Work("conv", WHOLE, 6912, 4, (0,), 1),
        Work("depthwise", WHOLE, 2304, 5, (1,), 2),
        Work("point", WHOLE, 2560, 6, (2,), 3),
    )
    blocks = (Block(0, 64, 3), Block(1, 16, 16), Block(2, 16, 16), Block(3, 16, 10))
    near = tuple(Neighbours(work.name, blocks[i : i + 2]) for i, work in enumerate(works))
    return Problem(choices, works, near)


def test_states_by_hand():
    problem = layers()
    assert Episodes(problem).steps == (4, 5, 1, 6, 2)  # wa; wb and its input a; wy and its input b
    # depthwise, channels in and out, stride, kernel, weights, elements in, index, action, is about weights
    rows = [
        (0, 3, 16, 2, 3, 432, 192, 0, 0, 1),
        (1, 16, 16, 1, 3, 144, 256, 1, 0, 1),
        (1, 16, 16, 1, 3, 144, 256, 2, 0, 0),
        (0, 16, 10, 1, 1, 160, 256, 3, 0, 1),
        (0, 16, 10, 1, 1, 160, 256, 4, 0, 0),
    ]
    table = np.array(rows, float)
    low, high = table.min(axis=0), table.max(axis=0)
    by_hand = np.divide(table - low, high - low, out=np.zeros_like(table), where=high > low)
    np.testing.assert_allclose(states_of(problem), by_hand, atol=1e-6)


@pytest.mark.parametrize("action, bits", [(0.0, 2), (0.33, 2), (0.34, 4), (0.66, 4), (0.67, 8), (1.0, 8)])
def test_actions_by_hand(action, bits):
    assert width_of((8, 4, 2), action) == bits


def test_the_reward_is_a_tenth_of_the_points_lost():
    assert reward_of(0.0) == 0.0
    assert reward_of(math.log(2)) == pytest.approx(-5.0)  # half of the probability
    assert reward_of(1e9) == -10.0


def test_repair_by_hand():
    # 11,200 BitOPs, weights fixed. From the last map backwards: b to 4 saves 800, then a to 4 saves 1,600.
    steps = (1, 2)

    def repaired(bits, limit):
        return repair(chain(budgets=Budgets(bitops=limit)), steps, (8, *bits, 8, 8, 8, 8))[1:3]

    assert repaired((8, 8), 11_200) == (8, 8)
    assert repaired((8, 8), 10_400) == (8, 4)
    assert repaired((8, 8), 10_399) == (4, 4)
    assert repaired((8, 8), 8_799) == (4, 2)  # the second sweep begins at the last again
    assert repaired((2, 8), 8_800) == (2, 8)  # nothing lacks any more


def test_repair_lowers_only_what_saves():
    # Memory of n0 (x 16 bytes, a 32) is beyond 40, n1 (a 32, b 16 = 48) too: b goes first, then a.
    problem = chain(budgets=Budgets(ram_bytes=40))
    assert repair(problem, (1, 2), problem.widest)[1:3] == (4, 4)
    alone = dataclasses.replace(problem, neighbours=problem.neighbours[:1])
    assert repair(alone, (1, 2), problem.widest)[1:3] == (4, 8)  # b is not in memory there


@settings(max_examples=150, deadline=None, derandomize=True)
@given(problem=random_problems(), data=st.data())
def test_repaired_widths_meet_the_budgets_and_none_goes_up(problem, data):
    start = tuple(data.draw(st.sampled_from(choice.widths)) for choice in problem.choices)
    steps = Episodes(problem).steps
    limits = problem.budgets.ram_bytes, problem.budgets.flash_bytes, problem.budgets.bitops

    def fits(bits):
        return all(limit is None or size <= limit for size, limit in zip(sizes_of(problem, bits), limits, strict=True))

    bits = repair(problem, steps, start)
    assert (bits is None) == (not fits(problem.narrowest))
    if bits is not None:
        assert fits(bits) and all(after <= before for after, before in zip(bits, start, strict=True))
        assert not fits(start) or bits == start


def small(evaluate=None):
    problem = chain_of(4)
    limit = 0.5 * sum(work.macs * 64 for work in problem.works)
    return dataclasses.replace(problem, budgets=Budgets(bitops=limit), evaluate=evaluate)


def test_an_agent_finds_widths_within_the_budget():
    needs_extra()
    problem = small()
    told = []
    result = haq(problem, Settings(1.0, progress=lambda *e: told.append(e)), SHORT)
    bits = problem.assignment(result.precision)
    assert sizes_of(problem, bits)[2] <= problem.budgets.bitops
    assert problem.predicted(bits) < problem.predicted(problem.narrowest)
    assert told[-1] == ("haq, episodes", 16, 16)
    assert haq(problem, NO_STATE, SHORT) == result


def test_patience_ends_it():
    needs_extra()
    told = []
    haq(small(lambda bits: np.ones(1)), Settings(1.0, progress=lambda *each: told.append(each)), Training(60, 5, 2))
    assert told[-1][1] < 12


def test_an_interrupted_search_goes_on_to_the_same_result(tmp_path):
    needs_extra()
    calls = []

    def measure(bits, most=10**9):
        calls.append(bits)
        if len(calls) > most:
            raise KeyboardInterrupt
        return np.array([sum((8 - width) * (1 + index % 3) for index, width in enumerate(bits)) / 50])

    whole = haq(small(measure), NO_STATE, SHORT)
    needed = len(calls)
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        haq(remembering(small(lambda bits: measure(bits, 7)), tmp_path), NO_STATE, SHORT)
    (file,) = tmp_path.iterdir()
    with file.open("a") as out:
        out.write("[[8, 8")  # a line that was being written
    calls.clear()
    assert haq(remembering(small(measure), tmp_path), NO_STATE, SHORT) == whole
    assert len(calls) == needed - 7
    calls.clear()
    assert haq(remembering(small(measure), tmp_path), NO_STATE, SHORT) == whole
    assert len(calls) <= 1  # the line that the broken one swallowed


def test_each_problem_has_a_file_of_its_own(tmp_path):
    first, second = small(lambda bits: np.ones(1)), small(lambda bits: np.full(1, 2.0))
    tighter = dataclasses.replace(second, budgets=Budgets(bitops=second.budgets.bitops - 1))
    assert digest(first) == digest(second) != digest(tighter)
    assert remembering(first, tmp_path).evaluate(first.widest) == 1.0
    assert remembering(second, tmp_path).evaluate(first.widest) == 1.0  # the same problem: what is known
    assert remembering(tighter, tmp_path).evaluate(first.widest) == 2.0
    assert remembering(first, None) is first and remembering(small(), tmp_path).evaluate is None


def test_a_folder_that_cannot_be_written_only_forgets(tmp_path):
    (tmp_path / "file").write_text("")
    problem = remembering(small(lambda bits: np.full(1, 3.0)), tmp_path / "file" / "below")
    assert problem.evaluate(problem.widest) == problem.evaluate(problem.widest) == 3.0


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    for call in (lambda: run("haq", chain(), NO_STATE), lambda: haq(chain(), NO_STATE), lambda: find("haq")):
        with pytest.raises(QmkitError) as caught:
            call()
        assert (caught.value.code, caught.value.exit_code) == ("no-rl", EXIT_ENVIRONMENT)
        assert "quantmcu-kit[rl]" in caught.value.hint


def test_budgets_that_nothing_meets_and_nothing_to_choose():
    needs_extra()
    for budgets in ({"bitops": 10.0}, {"cycles": 0.5}):
        problem = chain(budgets=Budgets(**budgets), cycles=lambda work, *bits: work.macs)
        with pytest.raises(QmkitError) as caught:
            haq(problem, NO_STATE, Training(3, 3, 1))
        assert (caught.value.code, caught.value.exit_code) == ("infeasible-budget", EXIT_FAILED)
    fixed = tuple(dataclasses.replace(c, widths=(8,), losses=(0.0,)) for c in chain().choices)
    assert set(chain().assignment(haq(chain(choices=fixed), NO_STATE).precision)) == {8}


def test_features_are_ten():
    assert states_of(layers()).shape == (5, module.FEATURES) == (5, 10)
