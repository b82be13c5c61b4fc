"""Invariants of a graph, checked between stages. A failure here is a defect of this program, not of the input."""

from __future__ import annotations

from quantmcu_kit.ir.graph import Graph


class InvariantError(AssertionError):
    """A stage produced a graph that breaks the IR's rules."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InvariantError(message)


def check(graph: Graph) -> Graph:
    """Return ``graph`` if every invariant holds, else raise :class:`InvariantError`."""
    for name, tensor in graph.tensors.items():
        _require(name == tensor.name, f"tensor {tensor.name!r} is filed under {name!r}")
        if tensor.data is not None:
            _require(tuple(tensor.data.shape) == tensor.shape, f"constant {name!r}: data and shape differ")
            _require(tensor.data.dtype == tensor.dtype.numpy, f"constant {name!r}: data and dtype differ")
    known = {port.tensor for port in graph.inputs}
    known |= {name for name, tensor in graph.tensors.items() if tensor.is_constant}
    names: set[str] = set()
    for node in graph.nodes:
        _require(node.name not in names, f"two nodes are named {node.name!r}")
        names.add(node.name)
        for name in node.inputs:
            _require(name is None or name in known, f"node {node.name!r} reads {name!r} before it is written")
        for name in node.outputs:
            _require(name in graph.tensors, f"node {node.name!r} writes unknown tensor {name!r}")
            _require(name not in known, f"tensor {name!r} is written twice")
            known.add(name)
    for port in graph.outputs:
        _require(port.tensor in known, f"network output {port.tensor!r} is never written")
    return graph
