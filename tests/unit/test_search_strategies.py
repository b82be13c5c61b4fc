"""The registry of searches, foreign ones included, and the result as data."""

import dataclasses
import json
from importlib.metadata import EntryPoint

import pytest

from quantmcu_kit.errors import EXIT_ENVIRONMENT, EXIT_FAILED, QmkitError
from quantmcu_kit.ir.plans import WHOLE
from quantmcu_kit.search import strategies
from quantmcu_kit.search.problem import Budgets
from quantmcu_kit.search.result import result_of
from quantmcu_kit.search.vdqs import Settings, vdqs
from tests.support.search_problems import chain

MODULE = __name__
NOT_CALLABLE = 7


def narrowest(problem, settings):
    return result_of(problem, problem.narrowest, "narrowest")


def widest(problem, settings):
    return result_of(problem, problem.widest, "widest")


def crashes(problem, settings):
    raise ZeroDivisionError("division by zero")


def refuses(problem, settings):
    raise QmkitError("infeasible-budget", "no")


def returns_nothing(problem, settings):
    return None


def invents_widths(problem, settings):
    return dataclasses.replace(widest(problem, settings), feature_maps={"a": {WHOLE: 3}})


@pytest.fixture
def installed(monkeypatch):
    """Entry points of another package: functions of this module by name, one that shadows, one that is missing."""
    names = [
        "narrowest",
        "widest",
        "crashes",
        "refuses",
        "returns_nothing",
        "invents_widths",
        "NOT_CALLABLE",
        "missing",
    ]
    entries = [EntryPoint(name, f"{MODULE}:{name}", strategies.GROUP) for name in names]
    entries += [
        EntryPoint("vdqs", f"{MODULE}:narrowest", strategies.GROUP),
        EntryPoint("absent", "no_such_package_here:search", strategies.GROUP),
    ]
    monkeypatch.setattr(strategies, "entry_points", lambda group: entries if group == strategies.GROUP else [])


def code_of(name, problem=None):
    with pytest.raises(QmkitError) as caught:
        strategies.run(name, problem or chain(), Settings())
    return caught.value


def test_built_in():
    assert strategies.names() == ("vdqs", "milp", "memory-driven", "uniform", "haq")
    assert strategies.find("vdqs") is vdqs
    assert strategies.run("vdqs", chain(), Settings()) == vdqs(chain(), Settings())


def test_others_are_found_and_cannot_shadow(installed):
    assert strategies.names() == (
        *strategies.BUILT_IN, "NOT_CALLABLE", "absent", "crashes", "invents_widths", "missing", "narrowest", "refuses",
        "returns_nothing", "widest",
    )  # fmt: skip
    assert strategies.find("narrowest") is narrowest
    assert strategies.find("vdqs") is vdqs
    assert strategies.run("narrowest", chain(), Settings()).feature_maps["a"] == {WHOLE: 2}


def test_unknown():
    error = code_of("magic")
    assert error.code == "unknown-strategy"
    assert "vdqs" in error.why


@pytest.mark.parametrize("name", ["NOT_CALLABLE", "missing", "absent"])
def test_broken_packages(installed, name):
    error = code_of(name)
    assert (error.code, error.exit_code) == ("broken-strategy", EXIT_ENVIRONMENT)


@pytest.mark.parametrize(
    "name, why",
    [("crashes", "ZeroDivisionError"), ("returns_nothing", "NoneType"), ("invents_widths", "3 bits")],
)
def test_strategies_that_fail(installed, name, why):
    error = code_of(name)
    assert (error.code, error.exit_code) == ("strategy-failed", EXIT_FAILED)
    assert why in error.why


@pytest.mark.parametrize(
    "budgets, named", [({"ram_bytes": 47}, "ram_bytes"), ({"bitops": 11_199}, "bitops"), ({"cycles": 1}, "cycles")]
)
def test_budgets_are_checked(installed, budgets, named):
    problem = chain(budgets=Budgets(**budgets), cycles=lambda work, *bits: work.macs)
    error = code_of("widest", problem)
    assert error.code == "strategy-failed"
    assert named in error.why


def test_a_refusal_is_passed_on(installed):
    assert code_of("refuses").code == "infeasible-budget"


def test_results_as_data():
    result = vdqs(chain(), Settings(0.5))
    data = json.loads(json.dumps(result.to_json()))
    assert data["bits"] == {"x": {"whole": 8}, "a": {"whole": 4}, "b": {"whole": 4}, "y": {"whole": 8}}
    assert data["weight_bits"] == {"w0": 8, "w1": 8, "w2": 8}
    assert (data["bitops"], data["bitops_int8_patch"]) == (8_800, 11_200)
    assert (data["strategy"], data["lambda"], data["cycles"]) == ("vdqs", 0.5, None)
    assert data["search_seconds"] >= 0
    assert {"kind": "map", "tensor": "a", "class": "whole", "bits": 2, "omega": 1.0, "phi": 1.0, "score": 0.0} in data[
        "scores"
    ]
    assert chain().assignment(result.precision) == (8, 4, 4, 8, 8, 8, 8)
    assert dataclasses.replace(result, seconds=99.0) == result
