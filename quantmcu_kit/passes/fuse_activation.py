"""Fuse RELU, RELU6 and RELU_N1_TO_1 into the node before them, as a clamp of its output."""

from __future__ import annotations

import dataclasses

from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.types import Activation
from quantmcu_kit.passes.rewire import rewire, same_quant

_ACTIVATIONS = {
    "RELU": Activation.RELU,
    "RELU6": Activation.RELU6,
    "RELU_N1_TO_1": Activation.RELU_N1_TO_1,
}
_HOSTS = frozenset(
    (
        "ADD",
        "AVERAGE_POOL_2D",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "FULLY_CONNECTED",
        "MAX_POOL_2D",
        "MUL",
        "SUB",
    )
)


def fuse_activation(graph: Graph) -> Graph:
    """The graph with activations fused where they are the only reader of a node that has none yet.

    Exact: a float clamp is the same wherever it stands; integers are fused only where the quantization on both sides
    is the same, so that the clamp's rescaling is the identity.
    """
    fused: dict[str, Node] = {}  # by the name of the host
    gone: set[str] = set()
    for node in graph.nodes:
        host = _host(graph, node)
        if host is not None:
            attrs = dataclasses.replace(host.attrs, activation=_ACTIVATIONS[node.op])
            fused[host.name] = dataclasses.replace(host, attrs=attrs, outputs=node.outputs)
            gone.add(node.name)
    nodes = [fused.get(node.name, node) for node in graph.nodes if node.name not in gone]
    return rewire(graph, nodes, {})


def _host(graph: Graph, node: Node) -> Node | None:
    """The node that ``node``, an activation, can be fused into."""
    if node.op not in _ACTIVATIONS:
        return None
    x = node.inputs[0]
    host = graph.producer(x)
    if host is None or host.op not in _HOSTS or host.attrs.activation is not Activation.NONE:
        return None
    if len(graph.consumers(x)) != 1 or graph.is_output(x):
        return None
    return host if same_quant(graph.tensors[x], graph.tensors[node.output]) else None
