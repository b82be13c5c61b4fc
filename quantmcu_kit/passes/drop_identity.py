"""Drop nodes that hand their input on unchanged."""

from __future__ import annotations

from collections.abc import Callable

from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.types import Activation, Padding, Size
from quantmcu_kit.ops.pooling import Pool
from quantmcu_kit.passes.rewire import rewire, same_quant


def drop_identity(graph: Graph) -> Graph:
    """The graph without nodes whose output equals their first input: same shape, quantization and values.

    A node between a network input or output and another network output stays: each output is a tensor of its own.
    """
    aliases: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        source = node.inputs[0]
        source = aliases.get(source, source)
        if _is_identity(graph, node) and not _joins_ports(graph, source, node.output):
            aliases[node.output] = source
        else:
            nodes.append(node)
    return rewire(graph, nodes, aliases)


def _is_identity(graph: Graph, node: Node) -> bool:
    rule = _RULES.get(node.op)
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    return rule is not None and x.shape == y.shape and same_quant(x, y) and rule(node)


def _joins_ports(graph: Graph, source: str, output: str) -> bool:
    return graph.is_output(output) and (graph.is_output(source) or graph.is_input(source))


def _always(node: Node) -> bool:
    """Where the shape stays, so do the values."""
    return True


def _keeps_order(node: Node) -> bool:
    return node.attrs.permutation == tuple(range(len(node.attrs.permutation)))


def _is_one_input(node: Node) -> bool:
    return len(node.inputs) == 1


def _is_one_pixel(node: Node) -> bool:
    """A 1x1 window with stride 1: its mean and its maximum are the pixel itself."""
    attrs = node.attrs
    unit = Size(1, 1)
    return attrs.pool == Pool(unit, unit, Padding()) and attrs.activation is Activation.NONE


# MEAN keeps the shape only where it averages axes of size 1
_RULES: dict[str, Callable[[Node], bool]] = {
    "AVERAGE_POOL_2D": _is_one_pixel,
    "CONCATENATION": _is_one_input,
    "MAX_POOL_2D": _is_one_pixel,
    "MEAN": _always,
    "PAD": _always,
    "QUANTIZE": _always,
    "RESHAPE": _always,
    "SQUEEZE": _always,
    "TRANSPOSE": _keeps_order,
}
