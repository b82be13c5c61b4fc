"""``--bits auto`` at the command line: searched, built, verified, shown, measured; and refused where it cannot be."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.e2e.conftest import DIGITS
from tests.ops import cases_weighted

MODEL = DIGITS / "digits.tflite"
CALIBRATION = ("--images", DIGITS / "calibration", "--preprocess", "pm1", "--limit", 8)
BUILD = ("build", MODEL, *CALIBRATION, "--json", "--bits", "auto")
MIX_KEYS = {"bitops", "bitops_int8_patch", "bits", "weight_bits", "patches", "search", "search_seconds"}
MACS = 7_583_744  # counted by hand from the architecture in examples/digits/network.py


def built(qmkit, *flags):
    result = qmkit(*BUILD, *flags)
    assert result.code == 0, result.err or result.out
    return json.loads(result.out)


def verified(qmkit, summary):
    result = qmkit("verify", summary["library"], "--host-only", "--json")
    return result.code == 0 and json.loads(result.out)["host"]["mismatches"] == 0


def error_of(result):
    return json.loads(result.out)["error"]


def test_eight_bits_say_so(qmkit):
    result = qmkit("build", MODEL, *CALIBRATION, "--json")
    summary = json.loads(result.out)
    assert MIX_KEYS <= set(summary)
    assert summary["bitops"] == summary["bitops_int8_patch"] == 64 * MACS
    assert {bits for by_class in summary["bits"].values() for bits in by_class.values()} == {8}
    assert summary["patches"] == [] and summary["search"] is None


def test_a_mix_within_a_budget_of_bitops(qmkit):
    summary = built(qmkit, "--bitops", 0.5)
    assert summary["bitops_int8_patch"] == 64 * MACS
    assert summary["bitops"] <= 0.5 * 64 * MACS
    widths = {bits for by_class in summary["bits"].values() for bits in by_class.values()}
    assert widths | set(summary["weight_bits"].values()) == {8, 4}
    assert summary["search"]["strategy"] == "vdqs" and summary["search_seconds"] > 0
    assert verified(qmkit, summary)


def test_same_input_gives_the_same_mix(qmkit, tmp_path):
    first, second = (built(qmkit, "--bitops", 0.4, "--output", f"{name}/net") for name in ("one", "two"))
    assert first["bits"] == second["bits"] and first["weight_bits"] == second["weight_bits"]
    sources = [(tmp_path / name / "net" / "src" / "digits" / "weights.c").read_bytes() for name in ("one", "two")]
    assert sources[0] == sources[1]


def test_entropy_is_a_proxy_too(qmkit):
    summary = built(qmkit, "--proxy", "entropy", "--bitops", 0.6)
    assert summary["bitops"] <= 0.6 * 64 * MACS and verified(qmkit, summary)


def test_narrow_weights_fit_less_flash(qmkit):
    wide = json.loads(qmkit("build", MODEL, *CALIBRATION, "--json", "--output", "wide").out)
    limit = wide["flash_bytes"] - 2_000
    summary = built(qmkit, "--flash", limit, "--trade-off", 1)
    assert summary["flash_bytes"] <= limit < wide["flash_bytes"]
    assert 4 in summary["weight_bits"].values()


@pytest.mark.parametrize(("patches", "share"), [("off", 0.9), ("4x4", 0.94)])
def test_latency_that_is_asked_for(qmkit, patches, share):
    """By the estimate of the library as a whole, with what patches take."""
    flags = ("--patches", patches, "--vdpc", "off")
    wide = json.loads(qmkit("build", MODEL, *CALIBRATION, "--json", "--output", "wide", "--patches", patches).out)
    limit = share * wide["latency_ms"]
    summary = built(qmkit, *flags, "--cost", "cycles", "--search", "milp", "--latency", limit)
    assert summary["latency_ms"] <= limit
    assert 4 in summary["weight_bits"].values()


@pytest.mark.parametrize(
    "flags", [("--bitops", 0.01), ("--latency", 0.01), ("--latency", 0.01, "--patches", "4x4", "--vdpc", "off")]
)
def test_what_is_named_as_possible_is_possible(qmkit, flags):
    flag, _, *others = flags
    search = ("--search", "milp") if flag == "--latency" else ()
    refused = error_of(qmkit(*BUILD, *flags, *search))
    least = refused["hint"].split(",")[0].split()
    assert refused["code"] == "infeasible-budget" and least[0] == flag and " 0.01 " in refused["message"]
    assert built(qmkit, *least, *others, *search)["search"]


def test_narrow_maps_fit_less_ram(qmkit):
    """Layer by layer the network takes 92,160 bytes at 8 bits."""
    summary = built(qmkit, "--patches", "off", "--ram", 70_000, "--trade-off", 1)
    assert summary["arena_bytes"] <= 70_000
    assert verified(qmkit, summary)


@pytest.mark.parametrize("rule", ["gaussian", "error"])
@pytest.mark.parametrize("vdpc", ["static", "dynamic"])
def test_classes_of_patches(qmkit, tmp_path, vdpc, rule):
    flags = ("--patches", "4x4", "--vdpc", vdpc, "--vdpc-rule", rule, "--phi", 0.9, "--bitops", 0.5)
    summary = built(qmkit, *flags)
    assert summary["stages"][0]["halo"] == "recompute"
    assert verified(qmkit, summary)
    places = [(patch["row"], patch["col"]) for patch in summary["patches"]]
    assert places in ([], [(row, column) for row in range(4) for column in range(4)])
    assert places or rule == "gaussian"  # where no value is an outlier, no patch is
    if places:
        assert {patch["class"] for patch in summary["patches"]} <= {"outlier", "mixed", "dynamic"}
        drawing = tmp_path / summary["library"] / "extras" / "patch_classes.png"
        assert min(Image.open(io.BytesIO(drawing.read_bytes())).size) >= 256


def test_bits_of_a_library_are_shown(qmkit):
    summary = built(qmkit, "--patches", "4x4", "--vdpc", "static", "--bitops", 0.5)
    shown = qmkit("inspect", summary["library"])
    assert shown.code == 0 and "bits" in shown.out and "segment 0" in shown.out
    facts = json.loads(qmkit("inspect", summary["library"], "--json").out)
    assert len(facts["layers"]) == len(summary["layers"])
    assert {layer["weight_bits"] for layer in facts["layers"]} - {None} == set(summary["weight_bits"].values())


def test_eval_measures_the_mix_beside_8_bits(qmkit):
    arguments = ("--calibration", DIGITS / "calibration", "--preprocess", "pm1", "--limit", 8, "--json")
    result = qmkit("eval", MODEL, *arguments, "--bits", "auto", "--bitops", 0.6)
    assert result.code == 0, result.err
    figures = json.loads(result.out)
    for form in ("float", "int8", "mix"):
        low, high = figures[f"interval95_{form}"]
        assert low < figures[f"top1_{form}"] <= high <= 100
    low, high = figures["lost_interval95_mix"]
    assert low <= figures["lost_mix"] <= high
    assert figures["top1_mix"] >= 90


def test_one_calibration_picture_is_enough(qmkit):
    result = qmkit(
        "build", MODEL, "--images", DIGITS / "calibration", "--preprocess", "pm1", "--limit", 1, "--bits", "auto",
        "--patches", "4x4", "--vdpc", "dynamic", "--bitops", 0.6, "--json",
    )  # fmt: skip
    assert result.code == 0, result.err or result.out
    assert verified(qmkit, json.loads(result.out))


def test_constant_pictures(qmkit, tmp_path):
    """Every map is constant: nothing varies, nothing is an outlier."""
    shape = json.loads(qmkit("inspect", MODEL, "--json").out)["inputs"][0]["shape"]
    np.save(tmp_path / "grey.npy", np.full((4, *shape[1:]), 128, np.uint8))
    result = qmkit(
        "build", MODEL, "--images", "grey.npy", "--preprocess", "pm1", "--bits", "auto", "--patches", "4x4",
        "--vdpc", "static", "--bitops", 0.6, "--json",
    )  # fmt: skip
    assert result.code == 0, result.err or result.out
    assert verified(qmkit, json.loads(result.out))


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (("--flash", 4_000), "infeasible-budget", "smallest possible"),
        (("--patches", "off", "--ram", 9_000), "infeasible-budget", "smallest possible"),
        (("--bitops", 0.05), "infeasible-budget", "smallest possible"),
        (("--latency", 0.001), "infeasible-budget", "milliseconds"),
        (("--latency", 20, "--board", "esp32-s3-devkitc-1"), "no-cycle-model", "esp32-s3-devkitc-1"),
        (("--patches", "3x3", "--vdpc", "static", "--ram", 20_000), "ram-budget", "20,000 are allowed"),
        (("--vdpc", "static"), "bad-patches", "no patches to classify"),
        (("--vdpc", "dynamic", "--patches", "4x4", "--halo", "reuse"), "bad-option", "--halo reuse"),
        (("--search", "nothing"), "unknown-strategy", "no search 'nothing'"),
    ],
)
def test_what_cannot_be(qmkit, tmp_path, flags, code, says):
    result = qmkit(*BUILD, *flags)
    assert result.code in (1, 2)
    error = error_of(result)
    assert error["code"] == code
    assert says in f"{error['message']} {error['why']}" and error["hint"]
    assert not (tmp_path / "lib").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ("--bits", "4"),
        ("--trade-off", "1.5"),
        ("--trade-off", "nan"),
        ("--phi", "0"),
        ("--phi", "1"),
        ("--vdpc", "sometimes"),
        ("--vdpc-rule", "luck"),
        ("--proxy", "hope"),
        ("--bitops", "0"),
        ("--bitops", "1.5"),
        ("--flash", "-1"),
        ("--latency", "inf"),
        ("--map-widths", "4,8"),
        ("--weight-widths", "4"),
        ("--weight-widths", "8,3"),
    ],
)
def test_impossible_options_of_a_search(qmkit, flags):
    result = qmkit("build", MODEL, "--bits", "auto", *flags)
    assert result.code == 2
    assert "error[bad-option]" in result.err and "hint" in result.err


def test_an_integer_network_keeps_its_widths(qmkit, tmp_path):
    case = next(case for case in cases_weighted.CASES if case.is_integer and case.op == "CONV_2D")
    (tmp_path / "int8.tflite").write_bytes(case.model())
    result = qmkit("build", "int8.tflite", "--bits", "auto", "--json")
    assert result.code == 2 and error_of(result)["code"] == "already-quantized"
