"""A real network with everything that a search for its precision needs, prepared once."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np

from quantmcu_kit import accuracy, calibrate, patch, precision, quantize, search
from quantmcu_kit.calibrate import FloatReference
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import PrecisionPlan
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.mix import classes_of
from quantmcu_kit.ops.branches import BranchInterpreter
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.options import Options
from quantmcu_kit.precision.find import sensitivity_of
from quantmcu_kit.precision.output import Yardstick
from quantmcu_kit.precision.sensitivity import PICTURES
from quantmcu_kit.quantize.patch_classes import port_of
from quantmcu_kit.quantize.ties import tie_groups
from quantmcu_kit.search.problem import bitops
from tests.bench.models import entries, picture_set

_BATCH = 16
_LEAST = 1e-30  # probability
_THREADS = 2


class Network:
    """A float model of ImageNet, calibrated and quantized to 8 bits.

    Args:
        pictures: how many of ``imagenet_val`` are measured, evenly spread.
    """

    def __init__(self, name: str, pictures: int, widths: tuple[int, ...] = (8, 4)) -> None:
        (self._entry,) = [entry for entry in entries("float") if entry.name == name]
        self._model = self._entry.load()
        self._preprocess = self._entry.normalisation(self._model)
        self.graph: Graph = self._model.graph
        self.settings = quantize.Settings()
        pictures_of = picture_set("imagenet_calib", self._model)
        self.calibration, _ = calibrate.observe(
            self._model.data,
            self.graph,
            pictures_of,
            self._preprocess,
            limit=Options.limit,
            progress=lambda *_: None,
        )
        self.base = quantize.apply(self.graph, self.calibration, PrecisionPlan(), self.settings)
        spread = np.linspace(0, len(pictures_of) - 1, PICTURES).astype(int)
        pixels = np.concatenate([batch.data for batch in pictures_of.subset(spread).batches(_BATCH)])
        self.inputs = calibrate.quantized_inputs(self.base, pixels, self._preprocess)
        wants = precision.Settings(weight_widths=widths)
        self.sensitivity = sensitivity_of(self.graph, self.base, self.calibration, self.inputs, wants, self.settings)
        labelled = picture_set("imagenet_val", self._model)
        measured = labelled.subset(np.linspace(0, len(labelled) - 1, pictures).astype(int))
        self._pixels = np.concatenate([batch.data for batch in measured.batches(_BATCH)])
        self._labels = np.asarray(measured.labels)

    def schedule(self, grid: str, halo: str) -> Schedule:
        """The network's first part in a grid, as far as ``--patches`` takes it."""
        wishes = Options(patches=grid, halo=halo).wishes(None)
        return patch.lay_out(self.base, patch.choose(self.base, None, wishes).plan)

    def bitops_int8(self, schedule: Schedule) -> float:
        """BitOPs of the network at 8 bits."""
        problem = search.build(self.graph, tie_groups(self.graph), schedule)
        return problem.total(bitops, problem.widest)

    @cached_property
    def float_hits(self) -> np.ndarray:
        """bool [n]: pictures that the float model classifies right."""
        return self._hits(self._float_scores)

    @cached_property
    def _float_scores(self) -> np.ndarray:
        real = calibrate.runtime_inputs(self.graph, self._pixels, self._preprocess)
        with FloatReference(self._model.data) as runtime:
            batches = [runtime.outputs([real[at : at + _BATCH]])[0] for at in range(0, len(real), _BATCH)]
        return np.concatenate(batches)

    @cached_property
    def training_inputs(self) -> np.ndarray:
        """int8 [n, ...]: as many calibration pictures as a build uses, as the integer graph takes them."""
        batches = picture_set("imagenet_calib", self._model).batches(_BATCH, limit=Options.limit)
        pixels = np.concatenate([batch.data for batch in batches])
        return calibrate.quantized_inputs(self.base, pixels, self._preprocess)

    def int8_hits(self) -> np.ndarray:
        """Likewise of the network at 8 bits."""
        return self.hits_of(self.base)

    def hits_of(self, graph: Graph) -> np.ndarray:
        """Likewise of an integer graph."""
        return self._run(Interpreter(graph, integer=True), graph)

    def hits(self, mix: precision.Mix) -> np.ndarray:
        """Likewise of a mix."""
        if mix.branches is None:
            return self._run(Interpreter(mix.graph, integer=True), mix.graph)
        return self._run(BranchInterpreter(mix.graph, mix.schedule, mix.branches), mix.graph)

    def divergence(self, mix: precision.Mix) -> float:
        """KL(float, mix) in nats, the mean of all pictures that are measured."""
        if mix.branches is None:
            return self.divergence_of(mix.graph)
        ends_at = {name: _ending_at(graph, self._logits) for name, graph in mix.branches.graphs.items()}
        branches = dataclasses.replace(mix.branches, graphs=ends_at)
        return self._divergence(BranchInterpreter(branches.common, mix.schedule, branches), branches.common)

    def divergence_of(self, graph: Graph) -> float:
        """Likewise of an integer graph."""
        graph = _ending_at(graph, self._logits)
        return self._divergence(Interpreter(graph, integer=True), graph)

    @property
    def _logits(self) -> str:
        (name,) = Yardstick.of(self.graph).tensors
        return name

    def _divergence(self, interpreter: Interpreter | BranchInterpreter, graph: Graph) -> float:
        yardstick, logits, found = Yardstick.of(self.graph), self._logits, self._scores(interpreter, graph)
        has_softmax = logits != self.graph.outputs[0].tensor
        real = np.log(np.maximum(self._float_scores, _LEAST)) if has_softmax else self._float_scores
        reference, moved = (yardstick.read(graph, {logits: each}) for each in (real, found))
        return float(yardstick.distance(reference, moved).mean())

    def find(
        self,
        schedule: Schedule,
        settings: precision.Settings,
        most_bitops: float | None = None,
        most_ram: int | None = None,
    ) -> precision.Mix:
        """A search on calibration pictures."""
        return precision.find_precision(
            self.graph,
            self.base,
            self.calibration,
            schedule,
            self.inputs,
            settings,
            self.settings,
            budgets=search.Budgets(ram_bytes=most_ram, bitops=most_bitops),
            sensitivity=self.sensitivity,
        )

    def refined(self, mix: precision.Mix, seconds: float = 0.0) -> precision.Mix:
        """The mix with its constants fitted to calibration pictures, as a build does, and trained if there is time."""
        effort = accuracy.Settings(seconds=seconds) if seconds else None
        inputs = self.training_inputs if seconds else accuracy.spread(self.training_inputs, accuracy.FEEDBACK_PICTURES)
        plan, classes = mix.result.precision, classes_of(mix)
        fitted = accuracy.refine(self.graph, self.calibration, plan, self.settings, inputs, effort, classes=classes)
        if classes is None:
            return dataclasses.replace(mix, graph=fitted.applied())
        branches = fitted.branches()
        return dataclasses.replace(mix, graph=branches.common, branches=branches)

    def _run(self, interpreter: Interpreter | BranchInterpreter, graph: Graph) -> np.ndarray:
        return self._hits(self._scores(interpreter, graph))

    def _scores(self, interpreter: Interpreter | BranchInterpreter, graph: Graph) -> np.ndarray:
        x = calibrate.quantized_inputs(graph, self._pixels, self._preprocess)
        source, output = graph.inputs[0].tensor, graph.outputs[0].tensor
        with ThreadPoolExecutor(_THREADS) as pool:
            starts = range(0, len(x), _BATCH)
            return np.concatenate(
                list(pool.map(lambda at: interpreter.run({source: x[at : at + _BATCH]})[output], starts))
            )

    def _hits(self, scores: np.ndarray) -> np.ndarray:
        rows = scores.reshape(len(scores), -1)
        background = rows.shape[1] == 1001
        return rows.argmax(axis=1) - int(background) == self._labels


def _ending_at(graph: Graph, name: str) -> Graph:
    return graph.replace(outputs=(port_of(graph, name),))
