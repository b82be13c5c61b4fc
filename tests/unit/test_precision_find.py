"""Finding a precision: budgets, classes, what auto keeps; scans and positions by hand."""

import functools

import numpy as np
import pytest

from quantmcu_kit import precision, quantize
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.branches import Scan, StaticClasses
from quantmcu_kit.ir.plans import MIXED, OUTLIER, PrecisionPlan
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.ops.branches import BranchInterpreter, scanned_outliers
from quantmcu_kit.ops.serialize import save_graph
from quantmcu_kit.precision.classes import most, scan_of_share
from quantmcu_kit.search import Budgets
from tests.unit.test_quantize import calibrated
from tests.unit.test_quantize_classes import X, network, staged

SETTINGS = quantize.Settings()
BUDGET = 3_000_000  # of 3,969,792 at 8 bits; 1,575,648 at 4 bits, less with no patch at 8


@functools.cache
def prepared(pictures=6):
    graph = network()
    calibration = calibrated(graph, X[:pictures])
    base = quantize.apply(graph, calibration, PrecisionPlan(), SETTINGS)
    return graph, calibration, base, base.tensors["x"].quant.quantize(X[:pictures], -128, 127).astype(np.int8)


def find(settings, schedule=None, **budgets):
    graph, calibration, base, inputs = prepared()
    schedule = schedule or staged(graph, 5)
    return inputs, precision.find_precision(
        graph, base, calibration, schedule, inputs, settings, SETTINGS, budgets=Budgets(**budgets)
    )


@pytest.mark.parametrize("proxy", precision.PROXIES)
def test_a_budget_is_met_and_the_graph_is_that_of_the_plan(proxy):
    _, mix = find(precision.Settings(proxy=proxy, vdpc="off"))
    limit = mix.result.bitops_int8 / 2
    _, mix = find(precision.Settings(proxy=proxy, vdpc="off"), bitops=limit)
    assert mix.result.bitops <= limit and mix.branches is None and mix.outliers is None
    plan = mix.result.precision
    graph, calibration, _, _ = prepared()
    assert save_graph(mix.graph) == save_graph(quantize.apply(graph, calibration, plan, SETTINGS))
    assert {4} <= {*plan.feature_maps.values(), *plan.weights.values()} <= {8, 4}
    (attempt,) = mix.attempts
    assert attempt.name == "off" and attempt.divergence > 0 and attempt.bitops == mix.result.bitops


def outlier_widths(mix):
    return {each[OUTLIER] for each in mix.result.feature_maps.values() if OUTLIER in each}


def test_static_classes_are_the_positions_of_most_harm():
    _, mix = find(precision.Settings(vdpc="static"), bitops=1_600_000)
    assert isinstance(mix.branches.rule, StaticClasses) and mix.result.bitops <= 1_600_000
    assert sorted(name for row in mix.branches.rule.names for name in row) == [MIXED, MIXED, OUTLIER, OUTLIER]
    assert mix.outliers.shape == (len(X), 2, 2) and mix.attempts[0].outlier_share == 0.5
    assert 4 in outlier_widths(mix)


def test_outliers_of_the_gaussian_rule_stay_at_8_bits():
    _, mix = find(precision.Settings(vdpc="dynamic", vdpc_rule="gaussian", phi=0.998), bitops=BUDGET)
    assert outlier_widths(mix) == {8}
    with pytest.raises(QmkitError, match="infeasible-budget"):
        find(precision.Settings(vdpc="dynamic", vdpc_rule="gaussian", phi=0.998), bitops=1_600_000)


@pytest.mark.parametrize("rule", precision.RULES)
def test_dynamic_classes_are_those_that_the_interpreter_sees(rule):
    inputs, mix = find(precision.Settings(vdpc="dynamic", vdpc_rule=rule, phi=0.998), bitops=BUDGET)
    assert 0 < mix.outliers.mean() < 1
    assert isinstance(mix.branches.rule, Scan)
    run = BranchInterpreter(mix.graph, mix.schedule, mix.branches)
    np.testing.assert_array_equal(run.classes({"x": inputs}), mix.outliers)


def test_auto_takes_what_diverges_least_at_no_more_cost():
    _, mix = find(precision.Settings(vdpc="auto"), bitops=BUDGET)
    off = next(attempt for attempt in mix.attempts if attempt.name == "off")
    assert len(mix.attempts) == 2 and mix.attempts[0].divergence <= off.divergence
    assert all(attempt.bitops <= off.bitops for attempt in mix.attempts)


def test_without_patches_there_are_no_classes():
    for vdpc in ("auto", "static", "dynamic"):
        _, mix = find(precision.Settings(vdpc=vdpc), Schedule.whole(network()), bitops=BUDGET)
        assert mix.branches is None and [attempt.name for attempt in mix.attempts] == ["off"]


def test_finding_is_deterministic():
    first, second = (find(precision.Settings(vdpc="auto"), bitops=BUDGET)[1] for _ in range(2))
    assert save_graph(first.graph) == save_graph(second.graph) and first.attempts == second.attempts


def test_impossible_budgets_and_options():
    for vdpc in precision.VDPC:
        with pytest.raises(QmkitError, match="infeasible-budget"):
            find(precision.Settings(vdpc=vdpc), bitops=1000)
    for changes in ({"proxy": "x"}, {"vdpc": "on"}, {"vdpc_rule": "x"}, {"phi": 1.0}):
        with pytest.raises(QmkitError, match="bad-option"):
            precision.Settings(**changes)


def test_one_picture_is_enough():
    graph, calibration, base, inputs = prepared(1)
    settings = precision.Settings(vdpc="auto", trade_off=0.3)
    mix = precision.find_precision(graph, base, calibration, staged(graph, 5), inputs, settings, SETTINGS)
    assert mix.result.bitops < mix.result.bitops_int8


def test_positions_of_most_harm_by_hand():
    harm = np.array([[1.0, 4.0], [3.0, 3.0]])
    assert most(harm, 0.25).tolist() == [[False, True], [False, False]]
    assert most(harm, 0.5).tolist() == [[False, True], [True, False]]  # the first of equals


def test_a_scan_of_a_share():
    patches = staged(network(), 5).stages[0].patches
    rng = np.random.default_rng(0)
    maps = (rng.integers(-20, 21, (40, 12, 12, 3)) * rng.uniform(0.2, 6, (40, 1, 1, 1))).astype(np.int8)
    scores = np.arange(256, dtype=np.uint8).view(np.int8).astype(float) ** 2
    shares = [scanned_outliers(scan_of_share(scores, maps, patches, s), maps, patches).mean() for s in (0.25, 0.5)]
    assert 0.2 < shares[0] <= 0.25 < 0.45 < shares[1] <= 0.5
    assert not scanned_outliers(scan_of_share(np.zeros(256), maps, patches, 0.25), maps, patches).any()
