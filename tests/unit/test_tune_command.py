"""What ``qmkit tune`` says and writes, where training is replaced; and whom it turns away."""

from __future__ import annotations

import dataclasses
import json

import pytest
from typer.testing import CliRunner

from quantmcu_kit import accuracy, pipeline, tuning
from quantmcu_kit.accuracy import TuneSettings
from quantmcu_kit.cli.main import app
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.options import Options
from tests.support.networks import Network
from tests.unit.test_tuned_file import example


@pytest.fixture
def tune(monkeypatch, tmp_path):
    """The command with training replaced: (facts of the result, flags) -> its outcome."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline, "load_model", lambda path: None)

    def run(*flags: str, **facts: object):
        seen = []

        def trained(model, options, settings, progress):
            seen.append((options, settings))
            return dataclasses.replace(example(), **facts)

        monkeypatch.setattr(tuning, "tune", trained)
        return CliRunner().invoke(app, ["tune", "net.tflite", *flags]), seen

    return run


def test_the_file_is_named_like_the_model(tune, tmp_path):
    result, ((options, settings),) = tune("--minutes", "2", "--bits", "auto")
    assert result.exit_code == 0 and (tmp_path / "net.qmtune").is_file()
    assert "0.2500 -> 0.1250 nats of KL divergence" in result.output and "--tuned net.qmtune" in result.output
    assert settings.seconds == 120 and options.bits == "auto" and options.vdpc == "off"


def test_an_interrupted_training_keeps_its_best(tune, tmp_path):
    result, _ = tune("--output", "a", "--json", is_interrupted=True)
    assert result.exit_code == 130 and (tmp_path / "a").is_file()
    assert json.loads(result.stdout)["interrupted"] is True


def test_a_training_that_was_given_up_says_so(tune):
    result, _ = tune(done=3)
    assert result.exit_code == 0 and "given up" in result.output


def test_what_is_quantized_has_no_teacher(monkeypatch, tmp_path):
    monkeypatch.setattr(accuracy, "check_torch", lambda what: None)
    net = Network("int8")
    net.map("x", (1, 4, 4, 3))
    net.conv("x", "y", 2)
    path = tmp_path / "net.tflite"
    path.write_bytes(net.build(["x"], ["y"]))
    with pytest.raises(QmkitError) as error:
        tuning.tune(pipeline.load_model(path), Options(), TuneSettings(), lambda *_: None)
    assert error.value.code == "already-quantized" and "float" in error.value.hint
