"""Branch classes: patches of one stage that compute with different widths and ranges, and what decides between them.

Patches share the network and its weights. What a class has of its own are the quantizations of the maps inside the
stage, and the biases and multipliers that follow from them. The maps at the stage's ends are the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.check import InvariantError
from quantmcu_kit.ir.graph import Graph, Tensor
from quantmcu_kit.ir.plans import MIXED, OUTLIER
from quantmcu_kit.ir.schedule import Patches, Schedule, Stage
from quantmcu_kit.ir.types import DType

MOST_SCORE = (1 << 16) - 1  # of a value
_SUM_LIMIT = 1 << 32  # scores are added up in 32 bits


@dataclass(frozen=True, eq=False)
class Scan:
    """Classes by the picture: a patch whose values score too much is of class ``OUTLIER``, any other ``MIXED``.

    Attributes:
        table: uint16 [256], the score of each value of the stage's input, by its bits: that of -1 is the last.
        limit: mean score beyond which a patch is an outlier, from 0 to ``MOST_SCORE``. A patch that reads nothing is
            none.
    """

    table: np.ndarray
    limit: int


@dataclass(frozen=True)
class StaticClasses:
    """Classes by position: the same for every picture.

    Attributes:
        names: of the class of each patch, row by row.
    """

    names: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class Branches:
    """A patched stage whose patches are of several classes.

    Attributes:
        stage: its index in the schedule.
        graphs: the integer network as patches of each class compute it, by class.
        rule: which patch is of which class.
    """

    stage: int
    graphs: Mapping[str, Graph]
    rule: Scan | StaticClasses

    @property
    def common(self) -> Graph:
        """The graph that stands for all: that of class ``OUTLIER``, of the first class where there is none."""
        return self.graphs[self.names[0]]

    @property
    def names(self) -> tuple[str, ...]:
        """The classes: ``OUTLIER`` first, then the others as they are listed."""
        return tuple(sorted(self.graphs, key=lambda name: name != OUTLIER))


def settled(branches: Branches) -> tuple[Graph, Branches | None]:
    """What is left to tell apart: the graph to build, and the classes unless all patches are of one."""
    if isinstance(branches.rule, StaticClasses):
        used = {name for row in branches.rule.names for name in row}
        if len(used) == 1:
            return branches.graphs[used.pop()], None
    return branches.common, branches


def inner_maps(patches: Patches) -> frozenset[str]:
    """Maps of a patched stage that may differ from class to class: all but its input and the map that is cut into
    patches, which whole layers or other patches read and write too."""
    return frozenset(entry.tensor for entry in patches.maps) - {patches.input, patches.maps[-1].tensor}


def may_have_classes(patches: Patches) -> bool:
    """Whether nothing stays within tiles from patch to patch."""
    is_ring = patches.mode.keeps_rows and patches.column_steps == 1
    return not patches.mode.keeps_columns and not is_ring


def check_branches(branches: Branches, schedule: Schedule) -> Branches:
    """Return ``branches`` if they fit the schedule and one another, else raise :class:`~ir.check.InvariantError`."""
    is_stage = 0 <= branches.stage < len(schedule.stages)
    stage = schedule.stages[branches.stage] if is_stage else None
    _require(stage is not None and stage.patches is not None, f"stage {branches.stage} does not run in patches")
    _require(may_have_classes(stage.patches), "patches of several classes keep nothing within their tiles")
    _require(bool(branches.graphs), "there is no branch class")
    for branch_class, graph in branches.graphs.items():
        _check_alike(branches.common, graph, stage, branch_class)
    _check_rule(branches, stage.patches)
    return branches


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InvariantError(message)


def _check_alike(common: Graph, graph: Graph, stage: Stage, branch_class: str) -> None:
    """The graph of a class differs from the common one inside of the stage alone."""
    inner = inner_maps(stage.patches)
    biases = {
        name
        for node in common.nodes[stage.start : stage.end]
        if inner & set(node.inputs)
        for name, tensor in zip(node.inputs, common.input_tensors(node), strict=True)
        if tensor is not None and tensor.is_constant and tensor.dtype is DType.I32
    }
    where = f"class {branch_class!r}"
    _require(graph.nodes == common.nodes, f"{where} has nodes of its own")
    for side in ("inputs", "outputs"):
        names, others = ([port.tensor for port in getattr(each, side)] for each in (graph, common))
        _require(names == others, f"{where} has {side} of its own")
    _require(graph.tensors.keys() == common.tensors.keys(), f"{where} has tensors of its own")
    for name, tensor in common.tensors.items():
        other = graph.tensors[name]
        _require(other.shape == tensor.shape, f"{where}: {name!r} has a shape of its own")
        if name not in inner and name not in biases:
            _require(are_equal(tensor, other), f"{where}: {name!r} is not inside of the stage, and differs")


def are_equal(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors of one name and shape hold the same."""
    if a is b:
        return True
    same_quant = b.quant is None if a.quant is None else a.quant.same_as(b.quant)
    return a.dtype is b.dtype and same_quant and a.is_constant == b.is_constant and np.array_equal(a.data, b.data)


def _check_rule(branches: Branches, patches: Patches) -> None:
    if isinstance(branches.rule, StaticClasses):
        names = branches.rule.names
        fits = len(names) == patches.row_steps and all(len(row) == patches.column_steps for row in names)
        _require(fits, "there is not one class per patch")
        unknown = {name for row in names for name in row} - branches.graphs.keys()
        _require(not unknown, f"there are no graphs of the classes {', '.join(map(repr, sorted(unknown)))}")
        return
    scan, source = branches.rule, patches.maps[0]
    _require({OUTLIER, MIXED} <= branches.graphs.keys(), "a scan decides between two classes")
    _require(scan.table.shape == (256,) and scan.table.dtype == np.uint16, "a score is uint16, one per value")
    _require(0 <= scan.limit <= MOST_SCORE, f"no patch has a mean score of {scan.limit}")
    values = source.needed.h * source.needed.w * branches.common.tensors[source.tensor].shape[3]
    _require(values * max(int(scan.table.max()), scan.limit) < _SUM_LIMIT, "the scores of a patch exceed 32 bits")
