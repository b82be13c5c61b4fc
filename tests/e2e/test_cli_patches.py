"""Patches at the command line: plans that are chosen, forced and refused; the libraries give the same bytes."""

import json

import pytest

from tests.e2e.conftest import DIGITS

MODEL = DIGITS / "digits.tflite"
BUILD = ("build", MODEL, "--images", DIGITS / "calibration", "--preprocess", "pm1", "--limit", 4, "--json")
WHOLE = 96_144  # bytes of the arena layer by layer


def built(qmkit, *flags):
    result = qmkit(*BUILD, *flags)
    assert result.code == 0, result.err or result.out
    return json.loads(result.out)


def verified(qmkit, summary):
    result = qmkit("verify", summary["library"], "--host-only", "--json")
    return result.code == 0 and json.loads(result.out)["host"]["mismatches"] == 0


def test_a_network_that_fits_runs_whole(qmkit):
    summary = built(qmkit)
    assert summary["arena_bytes"] == WHOLE and summary["input"] == "arena"
    (stage,) = summary["stages"]
    assert stage["grid"] is None and stage["macs"] == stage["macs_once"] == summary["macs"]


def test_less_ram_for_the_same_work(qmkit):
    summary = built(qmkit, "--ram", 40_000)
    assert summary["arena_bytes"] <= 40_000 and any(stage["grid"] for stage in summary["stages"])
    assert summary["macs"] == 7_583_744
    assert verified(qmkit, summary)


def test_least_ram_within_a_cost_limit(qmkit):
    free = built(qmkit, "--optimize", "ram", "--input", "rows", "--output", "free")
    bound = built(qmkit, "--optimize", "ram", "--input", "rows", "--cost-limit", 1.02, "--output", "bound")
    assert free["input"] == bound["input"] == "rows"
    assert free["arena_bytes"] < bound["arena_bytes"] < 25_000 and free["arena_bytes"] < 8_500
    assert verified(qmkit, free) and verified(qmkit, bound)


def test_a_forced_grid_as_mcunetv2_has_it(qmkit):
    summary = built(qmkit, "--patches", "4x4", "--halo", "recompute")
    first, *rest = summary["stages"]
    assert first["grid"] == [4, 4] and first["halo"] == "recompute" and all(stage["grid"] is None for stage in rest)
    assert first["macs"] > first["macs_once"]
    assert verified(qmkit, summary)


def test_a_plan_from_a_file(qmkit, tmp_path):
    stretches = [{"start": 0, "end": 3, "grid": "6x2", "halo": "reuse"}]
    (tmp_path / "plan.json").write_text(json.dumps({"stretches": stretches, "input": "rows"}))
    summary = built(qmkit, "--patches", tmp_path / "plan.json")
    first = summary["stages"][0]
    assert (first["first_layer"], first["last_layer"], first["grid"], first["halo"]) == (0, 2, [6, 2], "reuse")
    assert summary["input"] == "rows" and verified(qmkit, summary)


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (("--ram", 900), "ram-budget", "the smallest reachable has"),
        (("--patches", "500x1"), "bad-patches", "500x1"),
        (("--patches", "4by4"), "bad-option", "there is no such file"),
        (("--patches", "off", "--input", "rows"), "bad-patches", "nothing runs in patches"),
        (("--optimize", "speed"), "bad-option", "latency, ram"),
        (("--halo", "none"), "bad-option", "recompute"),
        (("--optimize", "ram", "--cost-limit", 0.5), "bad-option", "costs 1"),
    ],
)
def test_what_cannot_be_says_why(flags, code, told, qmkit, tmp_path):
    result = qmkit(*BUILD, *flags)
    error = json.loads(result.out)["error"]
    assert result.code in (1, 2) and error["code"] == code
    assert told in " ".join(error.values())
    assert not (tmp_path / "lib").exists()


def test_inspect_shows_the_plan_for_a_small_board(qmkit):
    result = qmkit("inspect", MODEL, "--patches", "--board", "uno_r4_wifi")
    assert result.code == 0, result.err
    assert "halo" in result.out and "MACs again" in result.out and "between least RAM and least cost" in result.out
    facts = json.loads(qmkit("inspect", MODEL, "--patches", "--board", "uno_r4_wifi", "--json").out)
    assert facts["arena_bytes"] <= 24_576 - 1_024
    assert max(stage["ram_bytes"] for stage in facts["stages"]) <= facts["arena_bytes"]
    rams, costs = ([plan[key] for plan in facts["front"]] for key in ("ram_bytes", "cost"))
    assert rams == sorted(set(rams)) and costs == sorted(set(costs), reverse=True)
