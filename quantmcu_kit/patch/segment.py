"""Segments: stretches of a network between two maps that everything passes through."""

from __future__ import annotations

from dataclasses import dataclass

from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ops.table import TABLE


@dataclass(frozen=True)
class Segment:
    """Consecutive nodes with one map going in and one coming out.

    Attributes:
        start, end: of ``graph.nodes``, [start, end).
        input, output: names of the two maps; every other map of the segment lives and dies inside.
    """

    start: int
    end: int
    input: str
    output: str

    def nodes(self, graph: Graph) -> tuple[Node, ...]:
        """Its nodes in execution order."""
        return graph.nodes[self.start : self.end]


def cut_points(graph: Graph) -> tuple[str | None, ...]:
    """For each position 0..len(nodes): the only map that is alive there, between two nodes; None where several are.

    Position 0 is the network's input, the last one its output.
    """
    last_use = {port.tensor: len(graph.nodes) for port in graph.outputs}
    for index, node in enumerate(graph.nodes):
        for name in graph.activation_inputs(node):
            last_use[name] = max(last_use.get(name, index), index)
    alive = {port.tensor for port in graph.inputs}
    cuts = [_only(alive)]
    for index, node in enumerate(graph.nodes):
        alive |= set(node.outputs)
        alive = {name for name in alive if last_use.get(name, -1) > index}
        cuts.append(_only(alive))
    return tuple(cuts)


def _only(names: set[str]) -> str | None:
    return next(iter(names)) if len(names) == 1 else None


def segment(graph: Graph, start: int, end: int) -> Segment | None:
    """The nodes [start, end) as a segment that can run patch by patch; None where they are none.

    Both ends must be cut points, and every node between them tileable.
    """
    cuts = cut_points(graph)
    first, last = cuts[start], cuts[end]
    if first is None or last is None or start >= end:
        return None
    if not all(is_tileable(graph, node) for node in graph.nodes[start:end]):
        return None
    return Segment(start, end, first, last)


def is_tileable(graph: Graph, node: Node) -> bool:
    """Whether a node can compute a part of its output: it has a halo rule, and works on maps [1, h, w, channels]."""
    maps = [graph.tensors[name] for name in (*graph.activation_inputs(node), node.output)]
    return TABLE[node.op].halo is not None and all(len(tensor.shape) == 4 for tensor in maps)
