"""Patches of several branch classes in one stage: what a quantization has to know of them, and what they compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.branches import Branches, Scan, StaticClasses, inner_maps
from quantmcu_kit.ir.graph import Graph, Port
from quantmcu_kit.ir.plans import Calibration, PrecisionPlan, TensorStats
from quantmcu_kit.ir.schedule import Patches, Schedule, Stage
from quantmcu_kit.ops.branches import BranchInterpreter
from quantmcu_kit.quantize.adjust import NONE, Adjustments
from quantmcu_kit.quantize.apply import Settings, apply_classes
from quantmcu_kit.quantize.classes import Key

_BATCH = 16  # pictures whose maps exist together


@dataclass(frozen=True, eq=False)
class PatchClasses:
    """Classes of the patches of one stage.

    Attributes:
        schedule: of the network.
        stage: its index in the schedule.
        rule: which patch is of which class.
        stats: by (branch class, inner map), what patches of the class hold.
    """

    schedule: Schedule
    stage: int
    rule: Scan | StaticClasses
    stats: Mapping[Key, TensorStats]

    @property
    def patches(self) -> Patches:
        """Of the stage."""
        return self._stage.patches

    @property
    def inner(self) -> frozenset[str]:
        """Maps that may differ from class to class."""
        return inner_maps(self.patches)

    @property
    def fixed(self) -> frozenset[str]:
        """Maps whose channels keep their size: a scan scores the stage's input by its integers. Factors of inner maps
        would be sound too, the same for all classes, but they save nothing (MobileNetV2-0.5@160 at 1/2.2 of the BitOPs:
        0.19 nats with them, 0.18 without) and need statistics of classes anew."""
        scanned = {self.patches.input} if isinstance(self.rule, Scan) else set()
        return self.inner | scanned

    @property
    def cut(self) -> str:
        """The map that is cut into patches: the last of the stage in classes, and one for all of them."""
        return self.patches.maps[-1].tensor

    @property
    def start(self) -> int:
        """Index of the stage's first node."""
        return self._stage.start

    def end(self, graph: Graph) -> int:
        """Index of the first node behind the map that is cut."""
        return next(index for index, node in enumerate(graph.nodes, start=1) if node.output == self.cut)

    def branches(self, graphs: Mapping[str, Graph]) -> Branches:
        """The classes, with the integer network of each."""
        return Branches(self.stage, graphs, self.rule)

    def cut_maps(self, graphs: Mapping[str, Graph], inputs: np.ndarray) -> np.ndarray:
        """The map that is cut, [n, h, w, c], each pixel of it from the class of its patch, exactly.

        Args:
            graphs: integer, by class.
            inputs: int8 [n, ...], the network's input.
        """
        interpreter, source = self._interpreter(graphs), _source(graphs)
        batches = (inputs[at : at + _BATCH] for at in range(0, len(inputs), _BATCH))
        return np.concatenate([interpreter.run({source: each})[self.cut] for each in batches])

    def places(self, graphs: Mapping[str, Graph], inputs: np.ndarray) -> Places:
        """Who computes what on some pictures; arguments as for :meth:`cut_maps`."""
        numbers = self._interpreter(graphs).numbers({_source(graphs): inputs})
        names = self.branches(graphs).names
        return Places(self.patches, {name: numbers == index for index, name in enumerate(names)})

    @property
    def _stage(self) -> Stage:
        return self.schedule.stages[self.stage]

    def _interpreter(self, graphs: Mapping[str, Graph]) -> BranchInterpreter:
        """Up to the map that is cut."""
        parts = {name: up_to(graph, self.end(graph)) for name, graph in graphs.items()}
        branches = self.branches(parts)
        return BranchInterpreter(branches.common, self.schedule, branches)


@dataclass(frozen=True, eq=False)
class Places:
    """The pixels that patches of each class compute.

    Attributes:
        is_of_class: bool [n, row steps, column steps], by class.
    """

    patches: Patches
    is_of_class: Mapping[str, np.ndarray]

    def of(self, branch_class: str, tensor: str, shape: tuple[int, ...]) -> np.ndarray:
        """bool [n, h, w]: the pixels of an inner map, [1, h, w, c], that some patch of a class computes. Patches
        overlap: a pixel may be of several classes, or of none, where nothing needs it."""
        entry, is_of_class = self.patches.by_tensor[tensor], self.is_of_class[branch_class]
        found = np.zeros((len(is_of_class), *shape[1:3]), bool)
        for row, rows in enumerate(entry.rows):
            for column, columns in enumerate(entry.columns):
                part = found[:, rows.start : rows.end, columns.start : columns.end]
                part |= is_of_class[:, row, column, None, None]
        return found


def quantized(
    graph: Graph,
    calibration: Calibration,
    precision: PrecisionPlan,
    settings: Settings,
    classes: PatchClasses | None,
    adjustments: Adjustments = NONE,
) -> dict[str, Graph]:
    """:func:`apply_classes` of a network whose patches have classes, or of one without: of ``WHOLE`` then."""
    inner, stats = (classes.inner, classes.stats) if classes else (frozenset(), {})
    return apply_classes(
        graph, calibration, precision, settings, inner=inner, class_stats=stats, adjustments=adjustments
    )


def up_to(graph: Graph, end: int) -> Graph:
    """The first nodes of a network, whose last map becomes its output."""
    return graph.replace(nodes=graph.nodes[:end], outputs=(port_of(graph, graph.nodes[end - 1].output),))


def port_of(graph: Graph, name: str) -> Port:
    """A map of the network as an end of one of its parts."""
    tensor = graph.tensors[name]
    return Port(name, name, tensor.dtype, tensor.shape, tensor.quant)


def _source(graphs: Mapping[str, Graph]) -> str:
    return next(iter(graphs.values())).inputs[0].tensor
