"""Accuracy on labelled pictures: the model file, the network at 8 bits, and the mix that a build found."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from quantmcu_kit import emit, memory
from quantmcu_kit.calibrate import Batch, Dataset, FloatReference, Progress, quantized_inputs, runtime_inputs
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.numerics.intervals import Interval95, paired_loss, share
from quantmcu_kit.options import Options
from quantmcu_kit.pipeline import BATCH, Build, Model, build, find_dataset
from quantmcu_kit.verify import HostLibrary

Score = Callable[[np.ndarray], np.ndarray]  # samples as the data set has them [n, ...] -> scores [n, ...]


@dataclass(frozen=True)
class Accuracy:
    """How one form of the network does, in percent, with 95 % intervals.

    Attributes:
        top1: pictures put into their class.
        lost: points below the model file, on the same pictures; None for the model file itself.
        agreement: pictures put into the class that the model file puts them into.
    """

    top1: Interval95
    lost: Interval95 | None
    agreement: float


@dataclass(frozen=True)
class Evaluation:
    """Accuracies over ``n`` pictures.

    Attributes:
        model: the model file in the TFLite runtime.
        int8: the compiled library at 8 bits.
        mix: the compiled library with the widths that were searched for; None where all have 8 bits.
        skipped: pictures that could not be decoded.
    """

    n: int
    skipped: int
    model: Accuracy
    int8: Accuracy
    mix: Accuracy | None


def evaluate(model: Model, options: Options, pictures: Path | None, progress: Progress) -> Evaluation:
    """Build a library with ``options`` and measure it on the labelled ``pictures``, on all cores."""
    dataset = labelled(model, pictures)
    options = dataclasses.replace(options, images=options.images or dataset.origin)
    result = build(model, options, progress)
    batches = []
    for batch in dataset.batches(BATCH):
        batches.append(batch)
        progress("decode", sum(len(done.data) for done in batches), len(dataset))
    labels = np.concatenate([batch.labels for batch in batches])
    forms = _classes(model, result, batches, labels, progress)
    reference = forms[0]

    return Evaluation(
        len(labels),
        sum(len(batch.skipped) for batch in batches),
        *(accuracy_of(classes, reference, labels) for classes in forms),
        *([None] if len(forms) == 2 else []),
    )


def accuracy_of(classes: np.ndarray, reference: np.ndarray, labels: np.ndarray) -> Accuracy:
    """The accuracy of a form that puts pictures into ``classes``, where the model file puts them into ``reference``."""
    hits = classes == labels
    lost = None if classes is reference else paired_loss(reference == labels, hits)
    return Accuracy(share(hits), lost, round(100 * float(np.mean(classes == reference)), 2))


def _classes(
    model: Model, result: Build, batches: Sequence[Batch], labels: np.ndarray, progress: Progress
) -> list[np.ndarray]:
    """Classes [n] that the model file, the library at 8 bits and, if there is one, that of the mix see."""
    workers = os.cpu_count() or 1
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="qmkit-")))
        runtimes: SimpleQueue[FloatReference] = SimpleQueue()
        for _ in range(workers):
            runtimes.put(stack.enter_context(FloatReference(model.data)))

        def of_model(samples: np.ndarray) -> np.ndarray:
            runtime = runtimes.get()
            try:
                return runtime.outputs([runtime_inputs(model.graph, samples, result.quantized.preprocess)])[0]
            finally:
                runtimes.put(runtime)

        scores: list[Score] = [of_model]
        if result.quantized.int8 is not None:
            scores.append(_library(stack, result, result.quantized.int8, _int8_files(result), folder / "int8"))
        scores.append(_library(stack, result, result.quantized.graph, result.files, folder / "library"))
        found = _in_parallel(scores, batches, workers, progress)
    return [class_of(values, labels, model) for values in found]


def _int8_files(result: Build) -> dict[str, str | bytes]:
    """The library that the network would be at 8 bits, layer by layer: how it runs does not change what it computes."""
    graph = result.quantized.int8
    return emit.render(graph, memory.plan(graph), name=result.manifest.name, board=result.board.id)


def _library(stack: ExitStack, result: Build, graph: Graph, files: dict[str, str | bytes], path: Path) -> Score:
    library = stack.enter_context(HostLibrary(emit.write(files, path)))
    return lambda samples: library.run(quantized_inputs(graph, samples, result.quantized.preprocess))[0]


def _in_parallel(
    scores: Sequence[Score], batches: Sequence[Batch], workers: int, progress: Progress
) -> list[np.ndarray]:
    """Scores [n, classes] of each form."""
    total = len(scores) * sum(len(batch.data) for batch in batches)
    lock, done = threading.Lock(), 0

    def run(task: tuple[Score, Batch]) -> np.ndarray:
        nonlocal done
        score, batch = task
        values = score(batch.data)
        with lock:
            done += len(batch.data)
            progress("evaluate", done, total)
        return values.reshape(len(batch.data), -1)

    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(run, [(score, batch) for score in scores for batch in batches]))
    count = len(batches)
    return [np.concatenate(parts[index * count : (index + 1) * count]) for index in range(len(scores))]


def class_of(scores: np.ndarray, labels: np.ndarray, model: Model) -> np.ndarray:
    """The class of each row; with one class more than 1000 ImageNet labels, class 0 is the background."""
    background = scores.shape[1] == 1001 and labels.max() < 1000
    if labels.max() >= scores.shape[1]:
        raise QmkitError(
            "bad-labels",
            f"label {labels.max()} is beyond the {scores.shape[1]} outputs of {model.path.name}",
            why="labels are class numbers from 0",
        )
    return scores.argmax(axis=1) - int(background)


def labelled(model: Model, pictures: Path | None) -> Dataset:
    """The pictures that accuracy is measured on.

    Raises:
        QmkitError: ``no-labels``.
    """
    dataset = find_dataset(model, pictures)
    if dataset is None or dataset.labels is None:
        raise QmkitError(
            "no-labels",
            "accuracy needs labelled pictures",
            why=f"{dataset.origin} has no labels.csv" if dataset else "no pictures were given",
            hint="add --images with a CSV of path,label, or a folder with a labels.csv",
        )
    return dataset
