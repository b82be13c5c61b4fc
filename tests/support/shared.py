"""Real models and pictures: a folder beside the project that is never part of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def shared_folder() -> Path | None:
    """``$QMKIT_SHARED``, else ``../shared`` beside the project; None where neither holds models."""
    named = os.environ.get("QMKIT_SHARED")
    folder = Path(named) if named else ROOT.parent / "shared"
    return folder if (folder / "models" / "manifest.csv").is_file() else None


needs_shared = pytest.mark.skipif(
    shared_folder() is None, reason="no folder of real models: set QMKIT_SHARED or put it at ../shared"
)


def model_bytes(name: str) -> bytes:
    """A real model by its stem; skips the test where the folder is absent."""
    folder = shared_folder()
    if folder is None:
        pytest.skip("no folder of real models: set QMKIT_SHARED or put it at ../shared")
    return (folder / "models" / f"{name}.tflite").read_bytes()
