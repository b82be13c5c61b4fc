"""``qmkit tune``: trained, built, verified and measured; and refused where that cannot be."""

import importlib.util
import json

import pytest

from tests.e2e.conftest import DIGITS, ROOT

MODEL, PICTURES = DIGITS / "digits.tflite", DIGITS / "calibration"
TUNE = ("tune", MODEL, "--images", PICTURES, "--preprocess", "pm1", "--limit", 8, "--json")
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="the extra accuracy is not installed"
)


@needs_torch
def test_a_tuned_mix_is_as_exact_as_any(qmkit, tmp_path):
    flags = ("--bits", "auto", "--bitops", 0.4, "--epochs", 2, "--output", "digits.qmtune")
    result = qmkit(*TUNE, *flags, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert result.code == 0, result.err or result.out
    facts = json.loads(result.out)
    assert facts["after"] <= facts["before"] and facts["loss"] == "kl" and facts["pictures"] == 56
    assert facts["iterations"] == facts["of_iterations"] == 4 and not facts["interrupted"]

    tuned = ("--limit", 8, "--tuned", "digits.qmtune", "--json")
    built = qmkit("build", MODEL, "--images", PICTURES, *tuned, "--patches", "2x2")
    assert built.code == 0, built.err or built.out
    summary = json.loads(built.out)
    assert summary["bits"] == facts["bits"] and summary["weight_bits"] == facts["weight_bits"]
    assert summary["bitops"] < 0.5 * summary["bitops_int8_patch"] and summary["preprocess"].startswith("pm1")
    verified = qmkit("verify", summary["library"], "--host-only", "--json")
    assert verified.code == 0 and json.loads(verified.out)["host"]["mismatches"] == 0

    heading, *rows = (DIGITS / "images" / "labels.csv").read_text().split()[:5]
    (tmp_path / "few.csv").write_text("\n".join([heading, *(f"{DIGITS / 'images'}/{row}" for row in rows)]))
    measured = qmkit("eval", MODEL, "--images", "few.csv", "--calibration", PICTURES, *tuned)
    assert measured.code == 0, measured.err or measured.out
    assert {"top1_float", "top1_int8", "top1_mix"} <= set(json.loads(measured.out))


@needs_torch
def test_what_cannot_be_tuned_is_refused(qmkit, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(PICTURES.glob("*.png"))[:5]:
        (few / path.name).write_bytes(path.read_bytes())
    (tmp_path / "letter.txt").write_text("dear")
    for flags, code in (
        (("--images", few), "too-few-pictures"),
        (("--minutes", 0), "bad-option"),
        (("--epochs", -1), "bad-option"),
        (("--output", "letter.txt"), "output-not-empty"),
        (("--output", "none/digits.qmtune"), "output-unwritable"),
    ):
        result = qmkit(*TUNE, *flags)
        assert result.code == 2 and json.loads(result.out)["error"]["code"] == code, result.out


@pytest.mark.parametrize(
    "flags, code",
    [
        (("--tuned", "none.qmtune"), "bad-tuned-file"),
        (("--tuned", "x", "--bits", "auto", "--effort", 5), "bad-option"),
        (("--tuned", "x", "--vdpc", "static"), "bad-option"),
    ],
)
def test_what_cannot_be_built_is_refused(qmkit, flags, code):
    result = qmkit("build", MODEL, "--images", PICTURES, "--json", *flags)
    assert result.code == 2 and json.loads(result.out)["error"]["code"] == code, result.out


def test_without_torch_the_extra_is_named(qmkit, tmp_path):
    """A torch that cannot be found: the finder of this folder's sitecustomize hides it."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "found = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'torch' else found(name, package)\n"
    )
    result = qmkit(*TUNE, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert result.code == 3, result.out
    assert 'pip install "quantmcu-kit[accuracy]"' in json.loads(result.out)["error"]["hint"]
