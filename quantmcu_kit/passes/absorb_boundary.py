"""Let the network's ports convert: QUANTIZE at its inputs and DEQUANTIZE at its outputs leave the graph."""

from __future__ import annotations

import dataclasses

from quantmcu_kit.ir.graph import Graph, Port
from quantmcu_kit.ir.types import DType
from quantmcu_kit.passes.rewire import rewire, same_quant


def absorb_boundary(graph: Graph) -> Graph:
    """The graph with float inputs and outputs around an integer body replaced by the body's int8 tensors.

    ``Port`` keeps the element type, shape and quantization of the model file. (A uint8 boundary has become int8 of the
    same meaning at import, so its QUANTIZE is an identity.)
    """
    aliases: dict[str, str] = {}
    inputs = [_absorb_input(graph, port, aliases) for port in graph.inputs]
    for port in graph.outputs:
        node = graph.producer(port.tensor)
        if node is not None and node.op == "DEQUANTIZE" and not graph.consumers(port.tensor):
            aliases[port.tensor] = node.inputs[0]
    quantized = {port.tensor for port in inputs}
    nodes = [node for node in graph.nodes if node.output not in aliases and node.output not in quantized]
    return rewire(graph, nodes, aliases, inputs=inputs)


def _absorb_input(graph: Graph, port: Port, aliases: dict[str, str]) -> Port:
    """The port behind its QUANTIZE nodes, where it has no other reader and they agree; else the port itself."""
    readers = graph.consumers(port.tensor)
    if graph.tensors[port.tensor].dtype is not DType.F32 or graph.is_output(port.tensor):
        return port
    if not readers or any(node.op != "QUANTIZE" for node in readers):
        return port
    first, *others = (graph.tensors[node.output] for node in readers)
    if not all(same_quant(first, other) for other in others):
        return port
    aliases.update((other.name, first.name) for other in others)
    return dataclasses.replace(port, tensor=first.name)
