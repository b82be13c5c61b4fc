"""Accuracy on labelled pictures: the float model, the integer reference, and the compiled library."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantmcu_kit import emit
from quantmcu_kit.calibrate import Batch, Dataset, FloatReference, Progress, quantized_inputs, runtime_inputs
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.options import Options
from quantmcu_kit.pipeline import BATCH, Build, Model, build, find_dataset
from quantmcu_kit.verify import HostLibrary


@dataclass(frozen=True)
class Evaluation:
    """Top-1 accuracies in percent over ``n`` pictures.

    Attributes:
        top1_float: of the model file in the TFLite runtime.
        top1_int8: of the Python integer reference.
        top1_library: of the library, compiled for this machine.
        agreement: percentage of pictures that library and runtime put into the same class.
        skipped: pictures that could not be decoded.
    """

    n: int
    top1_float: float
    top1_int8: float
    top1_library: float
    agreement: float
    skipped: int


def evaluate(model: Model, options: Options, pictures: Path | None, progress: Progress) -> Evaluation:
    """Build a library with ``options`` and measure it on the labelled ``pictures``."""
    dataset = _labelled(model, pictures)
    options = dataclasses.replace(options, images=options.images or dataset.origin)
    result = build(model, options, progress)
    batches = []
    for batch in dataset.batches(BATCH):
        batches.append(batch)
        progress("decode", sum(len(done.data) for done in batches), len(dataset))
    labels = np.concatenate([batch.labels for batch in batches])
    predicted = _predict(model, result, batches, progress)
    runtime, reference, library = (_class(scores, labels, model) for scores in predicted)
    return Evaluation(
        n=len(labels),
        top1_float=_percent(runtime == labels),
        top1_int8=_percent(reference == labels),
        top1_library=_percent(library == labels),
        agreement=_percent(library == runtime),
        skipped=sum(len(batch.skipped) for batch in batches),
    )


def _predict(model: Model, result: Build, batches: list[Batch], progress: Progress) -> list[np.ndarray]:
    """Scores [n, classes] of runtime, integer reference and library."""
    graph, preprocess = result.quantized.graph, result.quantized.preprocess
    total = sum(len(batch.data) for batch in batches)
    scores: list[list[np.ndarray]] = [[], [], []]
    interpreter = Interpreter(graph, integer=True)
    with tempfile.TemporaryDirectory(prefix="qmkit-") as folder:
        path = emit.write(result.files, Path(folder, "library"))
        with FloatReference(model.data) as runtime, HostLibrary(path) as library:
            done = 0
            for batch in batches:
                inputs = quantized_inputs(graph, batch.data, preprocess)
                scores[0].append(runtime.outputs([runtime_inputs(model.graph, batch.data, preprocess)])[0])
                scores[1].append(interpreter.run({graph.inputs[0].tensor: inputs})[graph.outputs[0].tensor])
                scores[2].append(library.run(inputs)[0])
                done += len(batch.data)
                progress("evaluate", done, total)
    return [np.concatenate(parts).reshape(total, -1) for parts in scores]


def _class(scores: np.ndarray, labels: np.ndarray, model: Model) -> np.ndarray:
    """The class of each row; with one class more than 1000 ImageNet labels, class 0 is the background."""
    background = scores.shape[1] == 1001 and labels.max() < 1000
    if labels.max() >= scores.shape[1]:
        raise QmkitError(
            "bad-labels",
            f"label {labels.max()} is beyond the {scores.shape[1]} outputs of {model.path.name}",
            why="labels are class numbers from 0",
        )
    return scores.argmax(axis=1) - int(background)


def _percent(hits: np.ndarray) -> float:
    return round(float(np.mean(hits)) * 100, 2)


def _labelled(model: Model, pictures: Path | None) -> Dataset:
    dataset = find_dataset(model, pictures)
    if dataset is None or dataset.labels is None:
        raise QmkitError(
            "no-labels",
            "accuracy needs labelled pictures",
            why=f"{dataset.origin} has no labels.csv" if dataset else "no pictures were given",
            hint="add --images with a CSV of path,label, or a folder with a labels.csv",
        )
    return dataset
