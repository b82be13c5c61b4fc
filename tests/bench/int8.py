"""Accuracy of each float model against its int8 library, calibrated on pictures that are not measured.

python -m tests.bench.int8 [--range METHOD] [name ...]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantmcu_kit import calibrate, emit, memory, quantize
from quantmcu_kit.calibrate import Dataset, FloatReference, open_dataset
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import PrecisionPlan
from quantmcu_kit.ir.types import Quant
from quantmcu_kit.options import Options
from quantmcu_kit.pipeline import Model
from quantmcu_kit.verify import HostLibrary
from tests.bench.models import ModelEntry, anomaly_windows, entries, keyword_features, picture_set
from tests.bench.results import Results

CALIBRATION_SETS = {"imagenet_val": "imagenet_calib", "cifar10": "cifar10_calib", "vww": "coco128"}
BATCH = 50
KEYWORDS_QUANT = Quant.per_tensor(0.584703, 83)
KEYWORDS_CALIBRATION = 100  # every fifth of the 500 samples
SOUNDS_CALIBRATION = 8  # the first normal sounds
SINE_CALIBRATION = np.linspace(0, 2 * np.pi, 64, dtype=np.float32)[:, None]


@dataclass(frozen=True)
class Task:
    """What to calibrate on and what to measure: inputs [n, ...], labels, and the score with its allowed loss."""

    calibration: Dataset
    inputs: np.ndarray
    labels: np.ndarray | None
    metric: str
    allowed: float


def _arrays(samples: np.ndarray, folder: Path) -> Dataset:
    np.save(folder / "calibration.npy", samples)
    return open_dataset(folder / "calibration.npy", samples.shape[1:])


def task_of(entry: ModelEntry, model: Model, folder: Path) -> Task:
    """The measurement that fits a model."""
    if entry.images == "kws01":
        x, y = keyword_features()
        real, kept = KEYWORDS_QUANT.dequantize(x), np.arange(len(x)) % (len(x) // KEYWORDS_CALIBRATION) != 0
        return Task(_arrays(real[~kept], folder), real[kept], y[kept], "top-1", 2.0)
    if entry.images == "ad01":
        windows, y = anomaly_windows()
        used = np.flatnonzero(y == 0)[:SOUNDS_CALIBRATION]
        kept = np.setdiff1d(np.arange(len(y)), used)
        calibration = windows[used].reshape(-1, windows.shape[-1])
        return Task(_arrays(calibration, folder), windows[kept], y[kept], "AUC", 2.0)
    if not entry.images:
        angles = np.linspace(0, 2 * np.pi, 500, dtype=np.float32)[:, None]
        return Task(_arrays(SINE_CALIBRATION, folder), angles, None, "SQNR dB", np.inf)
    dataset = picture_set(entry.images, model)
    pixels = np.concatenate([batch.data for batch in dataset.batches(BATCH)])
    if entry.images == "coco128":
        return Task(dataset.subset(range(0, len(dataset), 2)), pixels[1::2], None, "SQNR dB", np.inf)
    calibration = picture_set(CALIBRATION_SETS[entry.images], model)
    return Task(calibration, pixels, dataset.labels, "top-1", 1.0 if len(pixels) >= 500 else 2.0)


def _top1(scores: np.ndarray, labels: np.ndarray) -> float:
    background = scores.shape[1] == 1001
    return float((scores.argmax(axis=1) - background == labels).mean() * 100)


def _auc(errors: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve in percent: the share of (anomalous, normal) pairs in the right order."""
    anomalous, normal = errors[labels == 1][:, None], errors[labels == 0][None]
    return float(((anomalous > normal) + 0.5 * (anomalous == normal)).mean() * 100)


def scores(task: Task, float_outputs: np.ndarray, int8_outputs: np.ndarray) -> tuple[float, float]:
    """(float, int8) in the task's metric; both outputs are real values [n, ...]."""
    if task.metric == "top-1":
        return _top1(float_outputs, task.labels), _top1(int8_outputs, task.labels)
    if task.metric == "AUC":
        errors = [
            ((task.inputs - outputs.reshape(task.inputs.shape)) ** 2).mean(axis=(1, 2))
            for outputs in (float_outputs, int8_outputs)
        ]
        return _auc(errors[0], task.labels), _auc(errors[1], task.labels)
    # Medians over samples: detectors answer pictures unlike their training set with outputs beyond any range.
    signal = np.median((float_outputs**2).mean(axis=1))
    noise = np.median(((float_outputs - int8_outputs) ** 2).mean(axis=1))
    return np.inf, 10 * np.log10(float(signal / noise))


def quantized(entry: ModelEntry, model: Model, task: Task, settings: quantize.Settings) -> tuple[Graph, float]:
    """The integer graph, and the seconds that calibration and quantization took."""
    started = time.perf_counter()
    preprocess = entry.normalisation(model)
    calibration, _ = calibrate.observe(
        model.data, model.graph, task.calibration, preprocess, limit=Options.limit, progress=lambda *_: None
    )
    graph = quantize.apply(model.graph, calibration, PrecisionPlan(), settings)
    return graph, time.perf_counter() - started


def _library_outputs(model: Model, graph: Graph, inputs: np.ndarray, folder: Path) -> np.ndarray:
    """Real-valued first outputs [n, values] of the compiled library."""
    files = emit.render(graph, memory.plan(graph), name=model.name, board="nano33ble")
    with HostLibrary(emit.write(files, folder / "library")) as library:
        outputs = library.run(inputs)[0]
    return graph.tensors[graph.outputs[0].tensor].quant.dequantize(outputs).reshape(len(inputs), -1)


def measure(entry: ModelEntry, settings: quantize.Settings) -> dict[str, object]:
    """One row of the table."""
    model = entry.load()
    with tempfile.TemporaryDirectory() as name:
        task = task_of(entry, model, Path(name))
        graph, seconds = quantized(entry, model, task, settings)
        flat = task.inputs.reshape(-1, *model.sample_shape)
        preprocess = entry.normalisation(model)
        real_inputs = calibrate.runtime_inputs(model.graph, flat, preprocess)
        with FloatReference(model.data) as runtime:
            batches = [real_inputs[start : start + BATCH] for start in range(0, len(flat), BATCH)]
            real = np.concatenate([runtime.outputs([batch])[0] for batch in batches]).reshape(len(flat), -1)
        integer = _library_outputs(model, graph, calibrate.quantized_inputs(graph, flat, preprocess), Path(name))
    before, after = scores(task, real, integer)
    loss = before - after if np.isfinite(before) else 0.0
    return {
        "metric": task.metric,
        "n": len(task.inputs),
        "float": before,
        "int8": after,
        "loss": loss,
        "allowed": task.allowed,
        "seconds": seconds,
        "ok": bool(loss <= task.allowed),
    }


def main() -> None:
    """Measure every float model, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--range", default=Options.range)
    parser.add_argument("--rounding", default=Options.rounding)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    columns = [
        ("model", 28),
        ("metric", 8),
        ("n", 5),
        ("float", 7),
        ("int8", 7),
        ("loss", 6),
        ("allowed", 8),
        ("seconds", 8),
    ]
    results = Results("int8", columns)
    for entry in entries("float"):
        if not arguments.names or entry.name in arguments.names:
            results.add(model=entry.name, **measure(entry, quantize.Settings(arguments.range, arguments.rounding)))
    if not all(row["ok"] for row in results.rows):
        raise SystemExit("some models lose more than is allowed")


if __name__ == "__main__":
    main()
