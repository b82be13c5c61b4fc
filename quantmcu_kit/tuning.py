"""``qmkit tune``: a float model and pictures -> a trained quantized network in a file."""

from __future__ import annotations

import math

import numpy as np

from quantmcu_kit import accuracy, calibrate, precision
from quantmcu_kit.accuracy import Samples, Tuned, TuneSettings
from quantmcu_kit.boards.catalog import Board, find
from quantmcu_kit.calibrate import Dataset, Progress
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.contract import Preprocess
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import WHOLE, PrecisionPlan
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.mix import Frame, find_mix, refined
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.options import Options
from quantmcu_kit.pipeline import (
    BATCH,
    Model,
    Quantized,
    calibration_inputs,
    find_dataset,
    frame_of_search,
    measured_inputs,
    quantize_model,
)
from quantmcu_kit.search import SearchResult

_HELD_OUT = 8  # one picture in this many judges
_MOST_HELD_OUT = 512
_LARGER = 1.25  # than the network's input: pictures that are to be cropped
_MOST_BYTES = 1 << 30  # of pictures in memory
_ARRAYS = (".npy", ".npz")


def tune(model: Model, options: Options, settings: TuneSettings, progress: Progress) -> Tuned:
    """Find widths as a build does, then train the network in them.

    Args:
        options: without classes of patches.

    Raises:
        QmkitError: ``no-torch``, ``already-quantized``, ``too-few-pictures``, ``cannot-train``; what a build raises.
    """
    accuracy.check_torch("qmkit tune")
    if model.is_integer:
        raise _no_teacher(model)
    board = find(options.board)
    frame = frame_of_search(model, board, options)
    dataset = find_dataset(model, options.images)
    if dataset is not None:
        _check_count(dataset)
    int8 = quantize_model(model, options, progress)
    result = _widths(model, int8, board, frame, options, progress)
    _, inputs = calibration_inputs(model, int8, options, options.limit)
    fitted = refined(model.graph, int8.calibration, result.precision, inputs, options, progress)
    start = fitted.applied()
    samples = samples_of(dataset, int8.preprocess, start, progress)
    found = accuracy.tune(model.graph, start, samples, settings, progress, fitted.equalized)
    trained = fitted.applied(found.adjustments)
    return accuracy.tuned_of(accuracy.sha256_of(model.data), result, trained, int8.preprocess, found)


def _widths(
    model: Model, int8: Quantized, board: Board, frame: Frame | None, options: Options, progress: Progress
) -> SearchResult:
    """Those that a search finds; 8 bits everywhere where none is asked for."""
    if frame is not None:
        _, inputs = measured_inputs(model, int8, options)
        mix, _ = find_mix(model.graph, int8.graph, int8.calibration, inputs, board, frame, progress)
        return mix.result
    graph = model.graph
    bitops, _ = precision.count_bitops(int8.graph, Schedule.whole(int8.graph), PrecisionPlan())
    maps = {tensor.name: {WHOLE: 8} for tensor in graph.feature_maps()}
    weights = {node.inputs[1]: 8 for node in graph.nodes if TABLE[node.op].weight_axis is not None}
    return SearchResult("uniform", maps, weights, (), 0, 0, bitops, bitops, None)


def samples_of(dataset: Dataset, preprocess: Preprocess | None, integer: Graph, progress: Progress) -> Samples:
    """All samples of a set, or as many as memory allows; some of them are held out.

    Args:
        integer: the network that takes them.
    """
    first = next(dataset.batches(1, limit=1)).data
    are_pictures = preprocess is not None and first.dtype == np.uint8
    height, width, *rest = dataset.shape
    larger = (round(_LARGER * height), round(_LARGER * width), *rest)
    source = dataset
    if are_pictures and dataset.origin.suffix.lower() not in _ARRAYS:
        source = calibrate.open_dataset(dataset.origin, larger)
    most = max(accuracy.LEAST_SAMPLES, _MOST_BYTES // (first.itemsize * math.prod(source.shape)))
    places = np.arange(len(dataset))
    is_held_out = places % _HELD_OUT == _HELD_OUT - 1
    return Samples(
        _load(source.subset(places[~is_held_out]), most, progress),
        _load(dataset.subset(places[is_held_out]), _MOST_HELD_OUT, progress),
        dataset.shape,
        lambda samples: calibrate.quantized_inputs(integer, samples, preprocess),
        are_pictures,
    )


def _load(dataset: Dataset, most: int, progress: Progress) -> np.ndarray:
    batches, count = [], 0
    for batch in dataset.batches(BATCH, limit=most):
        batches.append(batch.data)
        count += len(batch.data)
        progress("decode", count, min(most, len(dataset)))
    return np.concatenate(batches)


def _no_teacher(model: Model) -> QmkitError:
    return QmkitError(
        "already-quantized",
        f"{model.path.name} is a {model.kind.value} model, and cannot be tuned",
        why="the float network says what the quantized one has to give, and this file does not hold it",
        hint="tune the float model that it was made from",
    )


def _check_count(dataset: Dataset) -> None:
    if len(dataset) < accuracy.LEAST_SAMPLES:
        raise QmkitError(
            "too-few-pictures",
            f"{dataset.origin} has {len(dataset)} pictures, and training needs at least {accuracy.LEAST_SAMPLES}",
            why="some are held out to judge; with few, the network learns them by heart",
            hint="more pictures like those that the network will see; they need no labels",
        )
