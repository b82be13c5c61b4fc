"""Several searches at one budget, on one calibration and one set of measured losses."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantmcu_kit import passes, precision, search
from quantmcu_kit.boards.catalog import Board, find
from quantmcu_kit.calibrate import Batch, FloatReference, Progress, quantized_inputs, runtime_inputs
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.evaluation import Accuracy, accuracy_of, class_of, labelled
from quantmcu_kit.ir.contract import Preprocess
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import PrecisionPlan
from quantmcu_kit.layout import lay_out
from quantmcu_kit.mix import quantize_settings
from quantmcu_kit.ops.branches import interpreter_of
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.options import Options
from quantmcu_kit.pipeline import (
    BATCH,
    Build,
    Model,
    frame_of_search,
    measured_inputs,
    quantize_model,
    rendered,
    with_mix,
)
from quantmcu_kit.precision.find import ACCURACY_ONLY
from quantmcu_kit.search.problem import INT8 as INT8_BITS

INT8 = "int8"
STRATEGIES = ("uniform", "memory-driven", "vdqs", "milp")
_THREADS = 2


@dataclass(frozen=True)
class Row:
    """What a search found, as a library of it would be; the first row is the network at 8 bits.

    Attributes:
        predicted: sum of what the choices lose alone; divergence: measured with all choices together. In nats, or in
            variances of the output.
        gap: see :class:`search.SearchResult`.
        bitops, cycles: per picture; cycles are None where the board's core has no cycle model.
        ram_bytes: arena and stack.
        seconds: of the search itself, losses being measured already.
        maps, weights: how many have so many bits.
        accuracy: on the pictures that are given for it.
    """

    strategy: str
    predicted: float
    divergence: float
    gap: float | None
    bitops: int
    cycles: float | None
    ram_bytes: int
    flash_bytes: int
    seconds: float
    maps: Mapping[int, int]
    weights: Mapping[int, int]
    accuracy: Accuracy | None = None


@dataclass(frozen=True)
class Comparison:
    """Rows of the searches that found something, and why the others did not.

    Attributes:
        failures: (strategy, error).
        n: labelled pictures; 0 where none are given. model: accuracy of the model file on them.
    """

    board: Board
    rows: tuple[Row, ...]
    failures: tuple[tuple[str, QmkitError], ...]
    n: int = 0
    model: Accuracy | None = None


def compare(
    model: Model, options: Options, strategies: Sequence[str], pictures: Path | None, progress: Progress
) -> Comparison:
    """Let every strategy search for widths within the budgets of ``options``, for accuracy alone unless λ is given.

    Args:
        pictures: labelled ones to measure accuracy on.

    Raises:
        QmkitError: ``unknown-strategy``, ``bad-option``, what a build raises, and the first failure where no strategy
            finds anything.
    """
    _check(strategies)
    trade_off = ACCURACY_ONLY if options.trade_off is None else options.trade_off
    options = dataclasses.replace(options, bits="auto", trade_off=trade_off)
    board = find(options.board)
    frame = frame_of_search(model, board, options)
    options = frame.options
    labels = None if pictures is None else _Labels(model, pictures)
    int8 = quantize_model(model, options, progress)
    _, inputs = measured_inputs(model, int8, options)
    sensitivity = precision.sensitivity_of(
        model.graph, int8.graph, int8.calibration, inputs, frame.settings, quantize_settings(options)
    )
    graph = passes.remove_dead_channels(int8.graph)
    layout = lay_out(graph, board, options, must_fit=False)
    found = [rendered(model, dataclasses.replace(int8, graph=graph), layout, board, options)]
    failures = []
    for name in strategies:
        own = dataclasses.replace(frame, settings=dataclasses.replace(frame.settings, search=name))
        try:
            quantized, layout = with_mix(model, int8, board, own, progress, sensitivity=sensitivity)
            found.append(rendered(model, quantized, layout, board, options))
        except QmkitError as error:
            failures.append((name, error))
    if len(found) == 1:
        raise failures[0][1]
    compared = Comparison(board, tuple(_row(model, each) for each in found), tuple(failures))
    return compared if labels is None else _with_accuracy(compared, found, labels, progress)


def _with_accuracy(compared: Comparison, found: Sequence[Build], labels: _Labels, progress: Progress) -> Comparison:
    reference = labels.reference(found[0].quantized.preprocess)
    rows = []
    for row, built in zip(compared.rows, found, strict=True):
        classes = labels.classes(built, progress, f"accuracy, {row.strategy}")
        rows.append(dataclasses.replace(row, accuracy=labels.accuracy(classes, reference)))
    return dataclasses.replace(compared, rows=tuple(rows), n=labels.n, model=labels.accuracy(reference, reference))


def _check(strategies: Sequence[str]) -> None:
    """Refuse names that nobody knows before anything is calibrated."""
    if not strategies or len(set(strategies)) < len(strategies):
        raise QmkitError(
            "bad-option",
            f"--strategies {','.join(strategies)} is not possible",
            why="it is a list of searches, each once",
            hint=f"--strategies {','.join(STRATEGIES)}",
        )
    for name in strategies:
        search.find(name)


def _row(model: Model, built: Build) -> Row:
    row = Row(
        INT8,
        0.0,
        0.0,
        None,
        precision.count_bitops(model.graph, built.layout.schedule, PrecisionPlan())[0],
        built.latency.cycles if built.latency else None,
        built.footprint.ram_bytes,
        built.footprint.flash_bytes,
        0.0,
        *_counts_at_8_bits(built.quantized.graph),
    )
    mix = built.quantized.mix
    if mix is None:
        return row
    result = mix.result
    return dataclasses.replace(
        row,
        strategy=result.strategy,
        predicted=mix.attempts[0].predicted,
        divergence=mix.attempts[0].divergence,
        gap=result.gap,
        bitops=result.bitops,
        seconds=result.seconds,
        maps=dict(Counter(bits for by_class in result.feature_maps.values() for bits in by_class.values())),
        weights=dict(Counter(result.weights.values())),
    )


def _counts_at_8_bits(graph: Graph) -> tuple[dict[int, int], dict[int, int]]:
    """How many maps and weight tensors there are."""
    weights = {node.inputs[1] for node in graph.nodes if TABLE[node.op].weight_axis is not None}
    return {INT8_BITS: len(list(graph.feature_maps()))}, {INT8_BITS: len(weights)}


class _Labels:
    """Labelled pictures, and what the model file makes of them."""

    def __init__(self, model: Model, pictures: Path) -> None:
        self._model = model
        self._batches: list[Batch] = list(labelled(model, pictures).batches(BATCH))
        self._labels = np.concatenate([batch.labels for batch in self._batches])

    @property
    def n(self) -> int:
        """How many pictures there are."""
        return len(self._labels)

    def reference(self, preprocess: Preprocess | None) -> np.ndarray:
        """Classes that the model file puts the pictures into."""
        with FloatReference(self._model.data) as runtime:
            inputs = (runtime_inputs(self._model.graph, batch.data, preprocess) for batch in self._batches)
            return self._classes([runtime.outputs([each])[0] for each in inputs])

    def accuracy(self, classes: np.ndarray, reference: np.ndarray) -> Accuracy:
        """Of a form of the network that puts pictures into ``classes``."""
        return accuracy_of(classes, reference, self._labels)

    def classes(self, built: Build, progress: Progress, stage: str) -> np.ndarray:
        """Classes by an integer network, in the integer reference, which the library computes byte for byte."""
        graph, preprocess = built.quantized.graph, built.quantized.preprocess
        run = interpreter_of(graph, built.layout.schedule, built.quantized.branches)
        source, output = graph.inputs[0].tensor, graph.outputs[0].tensor
        scores = []
        with ThreadPoolExecutor(_THREADS) as pool:
            inputs = [quantized_inputs(graph, batch.data, preprocess) for batch in self._batches]
            for values in pool.map(lambda x: run.run({source: x})[output], inputs):
                scores.append(values)
                progress(stage, len(scores), len(inputs))
        return self._classes(scores)

    def _classes(self, scores: Sequence[np.ndarray]) -> np.ndarray:
        rows = np.concatenate(scores)
        return class_of(rows.reshape(len(rows), -1), self._labels, self._model)
