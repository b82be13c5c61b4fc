"""Run an integer graph of which one stage's patches are of several branch classes, exactly.

Where patches recompute their halos, each does so in its own class. So what it computes is that part of the whole map
which its class's graph computes: the stage runs once per class, and each patch takes its part of the map that is cut.
Where rows are kept, that holds row of patches by row of patches: see ``ops.kept_rows``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from quantmcu_kit.ir.branches import Branches, Scan, check_branches
from quantmcu_kit.ir.graph import Graph, Port
from quantmcu_kit.ir.plans import MIXED, OUTLIER
from quantmcu_kit.ir.schedule import Patches, Schedule, Span
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.kept_rows import KeptRows


def scanned_outliers(scan: Scan, maps: np.ndarray, patches: Patches) -> np.ndarray:
    """bool [n, row steps, column steps]: which patches of a stage a scan of its input calls outliers.

    Args:
        maps: the stage's input, integers [n, h, w, c].
    """
    source = patches.maps[0]
    scores = scan.table[maps.view(np.uint8)].sum(axis=3, dtype=np.int64)
    sums = np.zeros((len(maps), scores.shape[1] + 1, scores.shape[2] + 1), np.int64)
    sums[:, 1:, 1:] = scores.cumsum(axis=1).cumsum(axis=2)  # of all pixels above and to the left
    (top, bottom), (left, right) = _limits(source.rows), _limits(source.columns)
    total = (
        sums[:, bottom[:, None], right]
        - sums[:, top[:, None], right]
        - sums[:, bottom[:, None], left]
        + sums[:, top[:, None], left]
    )
    values = np.outer(bottom - top, right - left) * maps.shape[3]
    return total > scan.limit * values


def _limits(spans: tuple[Span, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Where each step begins and ends; where nothing is kept, all that is read is new."""
    return np.array([span.start for span in spans]), np.array([span.end for span in spans])


class BranchInterpreter:
    """Evaluates a network with branch classes; a batch may be any number of pictures.

    Args:
        graph: ``branches.common``; it runs before and after the stage of the classes.
        schedule: of the graph.
        branches: classes of one of its stages.
        keep_all: return every feature map that has one value for all classes, and not the outputs alone.
    """

    def __init__(self, graph: Graph, schedule: Schedule, branches: Branches, *, keep_all: bool = False) -> None:
        check_branches(branches, schedule)
        self._keep_all = keep_all
        stage = schedule.stages[branches.stage]
        self._patches = stage.patches
        self._rule = branches.rule
        self._names = branches.names
        self._source, self._cut = stage.patches.input, stage.patches.maps[-1]
        self._cut_tensor = graph.tensors[self._cut.tensor]
        end = next(i for i, node in enumerate(graph.nodes, start=1) if node.output == self._cut.tensor)
        ends = [_port(graph, name) for name in (self._source, self._cut.tensor)]
        before = graph.replace(nodes=graph.nodes[: stage.start], outputs=ends[:1])
        self._before = Interpreter(before, integer=True, keep_all=keep_all)
        self._stage = {
            name: Interpreter(
                each.replace(nodes=each.nodes[stage.start : end], inputs=ends[:1], outputs=ends[1:]),
                integer=True,
                keep_all=keep_all,
            )
            for name, each in branches.graphs.items()
        }
        self._kept_rows = None
        if stage.patches.mode.keeps_rows:
            self._kept_rows = KeptRows(branches, stage.patches, graph.nodes[stage.start : end])
        after = graph.replace(nodes=graph.nodes[end:], inputs=ends[1:])
        self._after = Interpreter(after, integer=True, keep_all=keep_all)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The network's outputs by tensor name, or more maps with ``keep_all``.

        Args:
            inputs: arrays [batch, ...] by the tensor names of ``graph.inputs``.
        """
        before = self._before.run(inputs)
        source = before[self._source]
        class_of_patch = self._class_of_patch(source)
        row, column = _step_of(self._cut.rows)[:, None], _step_of(self._cut.columns)
        result = np.empty((len(source), *self._cut_tensor.shape[1:]), self._cut_tensor.dtype.numpy)
        for name, maps in self._maps_of_classes(source, class_of_patch).items():
            is_owner = (class_of_patch == name)[:, row, column]
            result[is_owner] = maps[self._cut.tensor][is_owner]
        after = self._after.run({self._cut.tensor: result})
        return {**before, **after} if self._keep_all else after

    def class_maps(self, inputs: Mapping[str, np.ndarray]) -> tuple[Mapping[str, np.ndarray], ...]:
        """The maps of the stage as patches of each class compute them, in the order of ``Branches.names``; without
        ``keep_all``, the one that is cut."""
        source = self._before.run(inputs)[self._source]
        maps = self._maps_of_classes(source, self._class_of_patch(source))
        return tuple(maps[name] for name in self._names)

    def _maps_of_classes(
        self, source: np.ndarray, class_of_patch: np.ndarray
    ) -> Mapping[str, Mapping[str, np.ndarray]]:
        """:meth:`class_maps` by name of the class."""
        if self._kept_rows:
            return self._kept_rows.run(source, class_of_patch)
        return {name: interpreter.run({self._source: source}) for name, interpreter in self._stage.items()}

    def classes(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """bool [n, row steps, column steps]: which patches are of class ``OUTLIER``."""
        return self._class_of_patch(self._before.run(inputs)[self._source]) == OUTLIER

    def numbers(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """int [n, row steps, column steps]: the class of each patch as its place in ``Branches.names``."""
        class_of_patch = self._class_of_patch(self._before.run(inputs)[self._source])
        return np.select([class_of_patch == name for name in self._names], range(len(self._names)))

    def _class_of_patch(self, source: np.ndarray) -> np.ndarray:
        """Names of classes [n, row steps, column steps], of the stage's input [n, h, w, c]."""
        if isinstance(self._rule, Scan):
            return np.where(scanned_outliers(self._rule, source, self._patches), OUTLIER, MIXED)
        names = np.array(self._rule.names)
        return np.broadcast_to(names, (len(source), *names.shape))


def interpreter_of(
    graph: Graph, schedule: Schedule | None, branches: Branches | None
) -> Interpreter | BranchInterpreter:
    """What runs an integer network exactly, with branch classes or without.

    Args:
        schedule: may be None without classes: how a network runs does not change what it computes.
    """
    return BranchInterpreter(graph, schedule, branches) if branches else Interpreter(graph, integer=True)


def _port(graph: Graph, name: str) -> Port:
    tensor = graph.tensors[name]
    return Port(name, name, tensor.dtype, tensor.shape, tensor.quant)


def _step_of(spans: tuple[Span, ...]) -> np.ndarray:
    """The step that computes each row (or column) of the map that is cut."""
    return np.repeat(np.arange(len(spans)), [span.fresh for span in spans])
