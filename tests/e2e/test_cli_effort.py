"""``--effort``: a mix trained on calibration pictures, built and verified; and refused where it cannot be."""

import importlib.util
import json

import pytest

from tests.e2e.conftest import DIGITS

BUILD = ("build", DIGITS / "digits.tflite", "--images", DIGITS / "calibration", "--preprocess", "pm1", "--limit", 8)
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="the extra accuracy is not installed"
)


@needs_torch
def test_a_trained_mix_is_as_exact_as_any(qmkit, tmp_path):
    flags = ("--bits", "auto", "--bitops", 0.4, "--effort", 4)
    result = qmkit(*BUILD, "--json", *flags, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert result.code == 0, result.err or result.out
    summary = json.loads(result.out)
    assert summary["bitops"] <= 0.4 * summary["bitops_int8_patch"]
    verified = qmkit("verify", summary["library"], "--host-only", "--json")
    assert verified.code == 0 and json.loads(verified.out)["host"]["mismatches"] == 0
    assert list((tmp_path / "cache").rglob("blocks/*.npz")), "finished blocks are kept"


@needs_torch
def test_with_classes_of_patches_what_lies_behind_is_trained(qmkit, tmp_path):
    flags = ("--bits", "auto", "--bitops", 0.5, "--patches", "4x4", "--vdpc", "static")
    for effort in (0, 4):
        cache = tmp_path / f"cache{effort}"
        result = qmkit(
            *BUILD, "--json", *flags, "--effort", effort, "--output", f"net{effort}", XDG_CACHE_HOME=str(cache)
        )
        assert result.code == 0, result.err or result.out
        summary = json.loads(result.out)
        assert {patch["class"] for patch in summary["patches"]} == {"outlier", "mixed"}
        assert any("layers behind those are trained alone" in each for each in summary["warnings"]) == bool(effort)
        assert bool(list(cache.rglob("blocks/*.npz"))) == bool(effort)
        verified = qmkit("verify", summary["library"], "--host-only", "--json")
        assert verified.code == 0 and json.loads(verified.out)["host"]["mismatches"] == 0


@pytest.mark.parametrize("flags", [("--effort", 5), ("--bits", "auto", "--effort", -1)])
def test_what_cannot_be_trained_is_refused(qmkit, flags):
    result = qmkit(*BUILD, "--json", *flags)
    assert result.code == 2 and json.loads(result.out)["error"]["code"] == "bad-option"


def test_without_torch_the_extra_is_named(qmkit, tmp_path):
    """A torch that cannot be found: the finder of this folder's sitecustomize hides it."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "found = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'torch' else found(name, package)\n"
    )
    from tests.e2e.conftest import ROOT

    paths = f"{tmp_path}:{ROOT}"
    result = qmkit(*BUILD, "--json", "--bits", "auto", "--effort", 5, PYTHONPATH=paths)
    assert result.code == 3, result.out
    assert 'pip install "quantmcu-kit[accuracy]"' in json.loads(result.out)["error"]["hint"]
