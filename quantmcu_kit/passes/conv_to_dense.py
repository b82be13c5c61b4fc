"""Turn CONV_2D of a single pixel, as classifiers end with, into FULLY_CONNECTED, whose kernels need no neighbours."""

from __future__ import annotations

import dataclasses

from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ops import fully_connected
from quantmcu_kit.passes.rewire import unique_name

_PIXEL = (1, 1)


def conv_to_dense(graph: Graph) -> Graph:
    """A float graph with such layers as matrices; an integer graph as it is: the two operators round differently."""
    if not all(tensor.dtype.is_float for tensor in graph.feature_maps()):
        return graph
    tensors = dict(graph.tensors)
    nodes = []
    for node in graph.nodes:
        if _is_dense(graph, node):
            weights = graph.tensors[node.inputs[1]]
            name = unique_name(f"{weights.name}/matrix", tensors)
            matrix = weights.data.reshape(weights.shape[0], weights.shape[3])
            tensors[name] = dataclasses.replace(weights, name=name, shape=matrix.shape, data=matrix, source=None)
            attrs = fully_connected.Attrs(keep_num_dims=True, activation=node.attrs.activation)
            inputs = (node.inputs[0], name, *node.inputs[2:])
            node = dataclasses.replace(node, op="FULLY_CONNECTED", attrs=attrs, inputs=inputs)
        nodes.append(node)
    return graph.replace(nodes=nodes, tensors=tensors)


def _is_dense(graph: Graph, node: Node) -> bool:
    """Whether one pixel is multiplied with a kernel of one pixel."""
    if node.op != "CONV_2D":
        return False
    x, weights = graph.input_tensors(node)[:2]
    sizes = (x.shape[1:3], graph.tensors[node.output].shape[1:3], weights.shape[1:3])
    return all(size == _PIXEL for size in sizes) and weights.is_constant and weights.shape[3] == x.shape[3]
