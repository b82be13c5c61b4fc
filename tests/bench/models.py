"""The real models and their inputs, as the benches need them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantmcu_kit import calibrate, pipeline
from quantmcu_kit.calibrate import Dataset
from quantmcu_kit.ir.contract import Preprocess
from quantmcu_kit.pipeline import Model
from tests.support.shared import shared_folder

AD_WINDOW, AD_HOP = 640, 128  # values of the autoencoder's spectrogram windows


@dataclass(frozen=True)
class ModelEntry:
    """One row of the manifest; ``preprocess`` and ``images`` are DATA's names."""

    name: str
    path: Path
    kind: str
    preprocess: str
    images: str

    def load(self) -> Model:
        """The imported model."""
        return pipeline.load_model(self.path)

    def normalisation(self, model: Model) -> Preprocess | None:
        """How pixels enter the model."""
        named = (
            self.preprocess if self.preprocess in ("pm1", "01", "imagenet", "raw") and not model.is_integer else None
        )
        return calibrate.resolve_preprocess(model.graph, preprocess=named)


def shared() -> Path:
    """The folder of real models; ends the bench where it is absent."""
    folder = shared_folder()
    if folder is None:
        raise SystemExit("this bench needs the real models: set QMKIT_SHARED or put them at ../shared")
    return folder


def entries(*kinds: str) -> list[ModelEntry]:
    """The models of the given kinds, in the manifest's order."""
    with open(shared() / "models" / "manifest.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        ModelEntry(row["name"], shared() / row["file"], row["kind"], row["preprocess"], row["images"])
        for row in rows
        if row["kind"] in kinds
    ]


def picture_set(name: str, model: Model) -> Dataset:
    """A set of real pictures, decoded for the model's input."""
    return calibrate.open_dataset(shared() / "images" / name, model.sample_shape)


def keyword_features() -> tuple[np.ndarray, np.ndarray]:
    """int8 [500, 49, 10, 1] with scale 0.584703 and zero-point 83, and their classes."""
    data = np.load(shared() / "features" / "kws01.npz")
    return data["x"], data["y"].astype(int)


def anomaly_windows() -> tuple[np.ndarray, np.ndarray]:
    """float32 [62, windows, 640] of machine sounds, and 1 for the anomalous ones."""
    data = np.load(shared() / "features" / "ad01.npz")
    starts = range(0, data["x"].shape[1] - AD_WINDOW + 1, AD_HOP)
    windows = np.stack([data["x"][:, start : start + AD_WINDOW] for start in starts], axis=1)
    return windows.astype(np.float32), data["y"].astype(int)
