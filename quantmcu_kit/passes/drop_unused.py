"""Drop nodes that no network output depends on."""

from __future__ import annotations

from quantmcu_kit.ir.graph import Graph


def drop_unused(graph: Graph) -> Graph:
    """The graph without nodes whose result nothing reads."""
    needed = {port.tensor for port in graph.outputs}
    kept = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(name for name in node.inputs if name is not None)
    return graph.replace(nodes=reversed(kept))
