"""A stage with branch classes that keeps rows for the patches below, exactly: one row of patches after the other.

Rows that are kept of a map are values of the common graph, whoever computed them: a patch of another class requantizes
the pixels that it gives, and those that it takes back, its own included, by the rule of QUANTIZE. Where two patches
side by side computed a column, the later one gives it. Columns are not kept, so what a patch computes of a row depends
on its class and on the kept rows, not on its column: a class computes rows over the map's full width here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from quantmcu_kit.ir.branches import Branches
from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.schedule import PatchedMap, Patches, Span
from quantmcu_kit.ops.carry import requantization
from quantmcu_kit.ops.interpret import prepare_node
from quantmcu_kit.ops.table import TABLE

Maps = dict[str, np.ndarray]


class KeptRows:
    """Evaluates a stage in patches, up to the map that is cut.

    Args:
        nodes: those that compute ``patches.maps``.
    """

    def __init__(self, branches: Branches, patches: Patches, nodes: tuple[Node, ...]) -> None:
        self._common = branches.common
        self._patches = patches
        self._classes = {
            name: _Class(graph, branches.common, patches, nodes) for name, graph in branches.graphs.items()
        }

    def run(self, source: np.ndarray, class_of_patch: np.ndarray) -> Mapping[str, Maps]:
        """By class, the maps as its patches compute them; zero where nobody computes anything.

        Args:
            source: the stage's input [n, h, w, c].
            class_of_patch: names [n, row steps, column steps].
        """
        kept = {entry.tensor: _zeros(self._common, entry, len(source)) for entry in self._patches.maps[1:]}
        found = {name: each.zeros(len(source)) for name, each in self._classes.items()}
        for step in range(self._patches.row_steps):
            given: list[tuple[np.ndarray, Maps]] = []
            for name, each in self._classes.items():
                is_of_class = class_of_patch[:, step] == name
                if not is_of_class.any():
                    continue
                new = each.step(step, source, kept)
                for tensor, rows in new.items():
                    span = self._patches.by_tensor[tensor].rows[step]
                    found[name][tensor][:, span.start : span.end] = rows
                given.append((is_of_class, each.given(new)))
            for is_of_class, new in given:  # when all patches of the row have read what was kept before
                self._keep(step, is_of_class, new, kept)
        return found

    def _keep(self, step: int, is_of_class: np.ndarray, new: Maps, kept: Maps) -> None:
        """Save the new rows of the patches of a class, columns by their owners; bool [n, column steps]."""
        for tensor, rows in new.items():
            entry = self._patches.by_tensor[tensor]
            span = entry.rows[step]
            for column, (start, end) in enumerate(saved_columns(entry.columns)):
                pictures = np.flatnonzero(is_of_class[:, column])
                kept[tensor][pictures, span.start : span.end, start:end] = rows[pictures, :, start:end]


def saved_columns(columns: tuple[Span, ...]) -> list[tuple[int, int]]:
    """The columns [start, end) of a map that each patch of a row saves: those that no later patch computes again."""
    firsts = [span.first for span in columns[1:]] + [columns[-1].end]
    return [(span.first, max(span.first, min(span.end, first))) for span, first in zip(columns, firsts, strict=True)]


def _zeros(graph: Graph, entry: PatchedMap, pictures: int) -> np.ndarray:
    tensor = graph.tensors[entry.tensor]
    return np.zeros((pictures, *tensor.shape[1:]), tensor.dtype.numpy)


class _Class:
    """What the patches of one class compute."""

    def __init__(self, graph: Graph, common: Graph, patches: Patches, nodes: tuple[Node, ...]) -> None:
        self._graph = graph
        self._patches = patches
        self._nodes = [(node, partial(TABLE[node.op].int_ref, prepare_node(graph, node))) for node in nodes]
        pairs = {
            entry.tensor: (graph.tensors[entry.tensor], common.tensors[entry.tensor])
            for entry in patches.maps
            if entry.kept_rows
        }
        self._take = {name: requantization(other, own) for name, (own, other) in pairs.items()}
        self._give = {name: requantization(own, other) for name, (own, other) in pairs.items()}

    def zeros(self, pictures: int) -> Maps:
        """Maps of which nothing is computed."""
        return {entry.tensor: _zeros(self._graph, entry, pictures) for entry in self._patches.maps[1:]}

    def step(self, step: int, source: np.ndarray, kept: Maps) -> Maps:
        """The new rows of each map."""
        values: Maps = {self._patches.input: source}
        new: Maps = {}
        for node, evaluate in self._nodes:
            entry = self._patches.by_tensor[node.output]
            span = entry.rows[step]
            inputs = (
                None if name is None else values.get(name, self._graph.tensors[name].data) for name in node.inputs
            )
            held = _zeros(self._graph, entry, len(source))
            if span.fresh:
                new[node.output] = evaluate(*inputs)[:, span.start : span.end]
                held[:, span.start : span.end] = new[node.output]
            if entry.kept_rows:
                above = slice(span.first, span.start)
                held[:, above] = self._take[node.output].apply(kept[node.output][:, above])
            values[node.output] = held
        return new

    def _constant(self, name: str | None) -> np.ndarray | None:
        """An operand that is no map; None where it is left out."""
        return None if name is None else self._graph.tensors[name].data

    def given(self, new: Maps) -> Maps:
        """Those of the maps that are kept, as they are kept."""
        return {name: rule.apply(new[name]) for name, rule in self._give.items() if name in new}
