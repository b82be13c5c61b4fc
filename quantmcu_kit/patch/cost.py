"""What running costs, as a value: multiply-accumulates, or cycles from a model of the processor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ops.table import TABLE


@dataclass(frozen=True)
class NodeCost:
    """Of one node.

    Attributes:
        whole: running it once on its whole map.
        call: each patch's call.
    """

    whole: float
    call: float = 0.0


@dataclass(frozen=True)
class Costs:
    """Of a network, all in one unit.

    Attributes:
        nodes: by name of the node.
        byte: each byte that moves between a tile and its kept rows, or within a tile.
        enter, leave: each time that a map which keeps something is looked after before, after a patch.
        patch: each patch.
        check: each node in each patch, whether it computes anything or not.
    """

    nodes: Mapping[str, NodeCost]
    byte: float = 0.0
    enter: float = 0.0
    leave: float = 0.0
    patch: float = 0.0
    check: float = 0.0

    @staticmethod
    def of_macs(graph: Graph) -> Costs:
        """Multiply-accumulates."""
        return Costs(
            {node.name: NodeCost(float(macs)) for node, macs in zip(graph.nodes, node_macs(graph), strict=True)}
        )


def node_macs(graph: Graph) -> tuple[int, ...]:
    """Multiply-accumulates of each node on its whole map."""
    return tuple(
        TABLE[node.op].cost(node.attrs, graph.input_tensors(node), graph.tensors[node.output]).macs
        for node in graph.nodes
    )
