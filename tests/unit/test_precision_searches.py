"""Every search on a real problem: budgets, what is measured, what is measured twice."""

import dataclasses
import json

import pytest

from quantmcu_kit import precision
from quantmcu_kit.precision.find import sensitivity_of
from quantmcu_kit.search import Budgets, haq
from tests.unit.test_precision_find import SETTINGS, prepared, staged

BUDGET = 2_500_000  # of 3,969,792 BitOPs at 8 bits


def find(name, state=None, sensitivity=None, trade_off=None, **budgets):
    graph, calibration, base, inputs = prepared()
    settings = precision.Settings(search=name, vdpc="off", state=state, trade_off=trade_off)
    return precision.find_precision(
        graph,
        base,
        calibration,
        staged(graph, 5),
        inputs,
        settings,
        SETTINGS,
        budgets=Budgets(**budgets),
        sensitivity=sensitivity,
    )


@pytest.mark.parametrize("name", ["uniform", "memory-driven", "milp"])
def test_a_budget_is_met(name):
    mix = find(name, bitops=BUDGET)
    assert mix.result.strategy == name and mix.result.bitops <= BUDGET
    assert {*mix.result.precision.feature_maps.values(), *mix.result.precision.weights.values()} == {8, 4}
    assert mix.attempts[0].divergence > 0


def test_integer_programming_loses_no_more_than_any_other():
    """By the sum of what each width loses alone; of all together, no more than these few pictures can tell."""
    found = {name: find(name, bitops=BUDGET).attempts[0] for name in ("vdqs", "uniform", "milp")}
    assert min(each.predicted for each in found.values()) == found["milp"].predicted
    assert found["milp"].divergence < 1.05 * min(each.divergence for each in found.values())


def test_without_a_budget_nothing_is_saved_unless_asked_for():
    whole, less = (find("milp", trade_off=trade_off).result for trade_off in (None, 0.3))
    assert less.bitops < whole.bitops == whole.bitops_int8
    assert (whole.trade_off, less.trade_off) == (None, 0.3)


def test_what_was_measured_is_read_again(tmp_path, monkeypatch):
    graph, calibration, base, inputs = prepared()
    settings = precision.Settings(weight_widths=(8, 4))
    sensitivity = sensitivity_of(graph, base, calibration, inputs, settings, SETTINGS)
    first = find("milp", tmp_path, sensitivity, bitops=BUDGET)
    (file,) = tmp_path.iterdir()
    assert all(len(json.loads(line)) == 2 for line in file.read_text().splitlines())
    calls = []
    measure = sensitivity.divergences
    monkeypatch.setattr(sensitivity, "divergences", lambda *each: calls.append(each) or measure(*each))
    again = find("milp", tmp_path, sensitivity, bitops=BUDGET)
    assert again.result == first.result and len(calls) == 1  # of the result, picture by picture


def test_an_agent_learns_on_measured_losses(monkeypatch):
    pytest.importorskip("stable_baselines3")
    short = dataclasses.replace(haq.Training(), episodes=6, warm_up=3)
    monkeypatch.setattr(haq, "Training", lambda: short)
    mix = find("haq", bitops=BUDGET)
    assert mix.result.strategy == "haq" and mix.result.bitops <= BUDGET


@pytest.mark.parametrize("name", ["uniform", "memory-driven", "milp"])
def test_classes_of_patches_have_widths_of_their_own(name):
    graph, calibration, base, inputs = prepared()
    settings = precision.Settings(search=name, vdpc="static")
    budgets = Budgets(bitops=BUDGET)
    schedule = staged(graph, 5)
    mix = precision.find_precision(graph, base, calibration, schedule, inputs, settings, SETTINGS, budgets=budgets)
    assert mix.branches is not None and mix.result.bitops <= BUDGET
