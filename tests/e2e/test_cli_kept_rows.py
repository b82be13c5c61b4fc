"""Classes of patches at the command line where rows are kept for the patches below."""

import json

import pytest

from tests.e2e.conftest import DIGITS

BUILD = (
    "build", DIGITS / "digits.tflite", "--images", DIGITS / "calibration", "--preprocess", "pm1", "--limit", 4,
    "--json", "--bits", "auto", "--bitops", 0.5,
)  # fmt: skip


@pytest.mark.parametrize(("vdpc", "rule"), [("static", "error"), ("dynamic", "gaussian")])
def test_classes_of_patches(qmkit, vdpc, rule):
    flags = ("--vdpc", vdpc, "--vdpc-rule", rule, "--phi", 0.9)
    built = qmkit(*BUILD, "--patches", "2x3", "--halo", "reuse-rows", *flags)
    assert built.code == 0, built.err or built.out
    summary = json.loads(built.out)
    (stage, *_) = summary["stages"]
    assert stage["halo"] == "reuse-rows"
    columns, rows = ({patch[side] for patch in summary["patches"]} for side in ("col", "row"))
    assert len(columns) == 3 and len(rows) >= 2
    assert len(summary["patches"]) == len(rows) * len(columns)
    verified = qmkit("verify", summary["library"], "--host-only", "--json")
    assert verified.code == 0 and json.loads(verified.out)["host"]["mismatches"] == 0


@pytest.mark.parametrize(
    ("flags", "code", "why"),
    [
        (("--patches", "4x1", "--halo", "reuse-rows"), "bad-patches", "rows that are kept stay in the tile"),
        (("--patches", "4x4", "--halo", "reuse-columns"), "bad-option", "columns that one patch keeps"),
    ],
)
def test_what_stays_in_tiles_is_refused(qmkit, flags, code, why):
    result = qmkit(*BUILD, "--vdpc", "static", *flags)
    assert result.code in (1, 2)
    error = json.loads(result.out)["error"]
    assert error["code"] == code and why in error["why"] and error["hint"]
