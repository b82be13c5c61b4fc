"""Segments: stretches of a network between two maps that everything passes through."""

from __future__ import annotations

from dataclasses import dataclass

from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ops.interpret import prepare_node, sum_bytes
from quantmcu_kit.ops.table import TABLE


@dataclass(frozen=True)
class Segment:
    """Consecutive nodes with one map going in and one coming out.

    Attributes:
        start, end: of ``graph.nodes``, [start, end).
        input, output: names of the two maps; every other map of the segment lives and dies inside.
        tail: nodes at the end that make one vector of the whole map before them (views, then a reduction): its patches
            are added up as they come, the views are left out. 0 for a segment that ends in a map.
    """

    start: int
    end: int
    input: str
    output: str
    tail: int = 0

    @property
    def tiled_end(self) -> int:
        """Nodes [start, tiled_end) run patch by patch."""
        return self.end - self.tail

    def nodes(self, graph: Graph) -> tuple[Node, ...]:
        """Its tiled nodes in execution order."""
        return graph.nodes[self.start : self.tiled_end]

    def cut_map(self, graph: Graph) -> str:
        """The map that a grid cuts into patches: the output of the last tiled node."""
        return graph.nodes[self.tiled_end - 1].output


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

    Both ends must be cut points, and every node between them tileable, but for a tail that adds up.
    """
    cuts = cut_points(graph)
    first, last = cuts[start], cuts[end]
    if first is None or last is None or start >= end:
        return None
    tail = tail_length(graph, end)
    tiled = graph.nodes[start : end - tail]
    if not tiled or not all(is_tileable(graph, node) for node in tiled):
        return None
    return Segment(start, end, first, last, tail)


def is_tileable(graph: Graph, node: Node) -> bool:
    """Whether a node can compute a part of its output: it has a halo rule, and works on maps [1, h, w, channels]."""
    maps = [graph.tensors[name] for name in (*graph.activation_inputs(node), node.output)]
    return TABLE[node.op].halo is not None and all(len(tensor.shape) == 4 for tensor in maps)


def tail_length(graph: Graph, end: int) -> int:
    """How many nodes before ``end`` make one vector of a whole map [1, h, w, c], so that patches can be added up."""
    index = end - 1
    if index < 0 or not sum_bytes(graph, graph.nodes[index]):
        return 0
    while index > 0 and len(_source(graph, index).shape) != 4:
        index -= 1
        if not _only_shapes(graph, graph.nodes[index]):
            return 0
    return end - index if index > 0 and _source(graph, index).elements == _source(graph, end - 1).elements else 0


def _only_shapes(graph: Graph, node: Node) -> bool:
    """Whether a node is a view that leaves values and their width as they are, wherever they lie in memory."""
    return TABLE[node.op].is_view and prepare_node(graph, node).carry.table is None


def _source(graph: Graph, index: int) -> Tensor:
    return graph.tensors[graph.nodes[index].inputs[0]]


def tail_bytes(graph: Graph, piece: Segment) -> int:
    """Bytes of the sums that the segment's tail needs; 0 where it has none."""
    return sum_bytes(graph, graph.nodes[piece.end - 1]) if piece.tail else 0
