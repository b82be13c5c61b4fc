"""The command line as a function: exit code, standard output, standard error."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "digits"


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def qmkit(tmp_path):
    """Run ``qmkit`` with the given arguments in ``tmp_path``; no traceback may ever appear."""

    def run(*arguments: object, **environment: str) -> Result:
        command = [sys.executable, "-c", "from quantmcu_kit.cli.main import main; main()", *map(str, arguments)]
        result = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in result.stderr + result.stdout, result.stderr
        return Result(result.returncode, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def library(tmp_path_factory) -> Path:
    """A library of the example network, built once."""
    from quantmcu_kit import emit, pipeline
    from quantmcu_kit.options import Options

    model = pipeline.load_model(DIGITS / "digits.tflite")
    options = Options(images=DIGITS / "calibration", preprocess="pm1", limit=8)
    return emit.write(pipeline.build(model, options).files, tmp_path_factory.mktemp("built") / "digits")
