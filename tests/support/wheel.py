"""The kit as a user gets it: a wheel installed into a virtual environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "digits"


def run(command: list[str | Path], cwd: Path, timeout: int = 600) -> subprocess.CompletedProcess[str]:
    """Run without the checkout on the import path; fail with everything that was printed."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    result = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result


def build_wheel(folder: Path) -> Path:
    """The project's wheel, built into ``folder``."""
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT], cwd=folder)
    (wheel,) = folder.glob("quantmcu_kit-*.whl")
    return wheel


def make_environment(folder: Path, *arguments: str | Path) -> Path:
    """A virtual environment in ``folder`` after ``pip install arguments``; returns its bin folder."""
    run([sys.executable, "-m", "venv", folder], cwd=folder.parent)
    run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", *arguments], cwd=folder.parent)
    return folder / "bin"


def copy_example(folder: Path, pictures: int = 12) -> Path:
    """The example network and a few of its pictures, alone in ``folder``; returns the model."""
    folder.mkdir()
    shutil.copy(DIGITS / "digits.tflite", folder)
    (folder / "images").mkdir()
    for picture in sorted((DIGITS / "images").glob("*.png"))[:pictures]:
        shutil.copy(picture, folder / "images")
    return folder / "digits.tflite"
