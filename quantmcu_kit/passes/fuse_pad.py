"""Fuse PAD of height and width into the padding of the convolutions behind it."""

from __future__ import annotations

import dataclasses

from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.types import Padding, Size
from quantmcu_kit.ops.geometry import span
from quantmcu_kit.passes.rewire import rewire, same_quant

_CONVOLUTIONS = frozenset(("CONV_2D", "DEPTHWISE_CONV_2D"))
_FEATURE_MAP, _WEIGHTS = 0, 1  # inputs of a convolution


def fuse_pad(graph: Graph) -> Graph:
    """The graph without those PAD nodes whose every reader is a convolution that can pad by itself.

    Exact: PAD writes 0, or the zero-point, which stands for 0, and padding contributes 0 to a convolution.
    """
    fused: dict[str, Padding] = {}  # output of PAD -> what it pads
    aliases: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        padding = _fusible(graph, node)
        if padding is not None:
            fused[node.output] = padding
            aliases[node.output] = node.inputs[_FEATURE_MAP]
        elif node.inputs[_FEATURE_MAP] in fused:
            nodes.append(_padded(node, fused[node.inputs[_FEATURE_MAP]]))
        else:
            nodes.append(node)
    return rewire(graph, nodes, aliases)


def _padded(convolution: Node, padding: Padding) -> Node:
    attrs = convolution.attrs
    return dataclasses.replace(convolution, attrs=dataclasses.replace(attrs, padding=attrs.padding + padding))


def _fusible(graph: Graph, node: Node) -> Padding | None:
    """What ``node`` pads, if it is a PAD that can be fused into all of its readers."""
    if node.op != "PAD" or graph.is_output(node.output):
        return None
    x, y = graph.tensors[node.inputs[_FEATURE_MAP]], graph.tensors[node.output]
    before, after = node.attrs.before, node.attrs.after
    if len(x.shape) != 4 or any((before[0], after[0], before[3], after[3])) or not same_quant(x, y):
        return None
    padding = Padding(before[1], after[1], before[2], after[2])
    return padding if all(_takes(graph, reader, node.output, padding) for reader in graph.consumers(y.name)) else None


def _takes(graph: Graph, node: Node, padded: str, padding: Padding) -> bool:
    """Whether ``node`` is a convolution of ``padded``, and each of its windows still covers some of the map."""
    if node.op not in _CONVOLUTIONS or node.inputs.count(padded) != 1 or node.inputs[_FEATURE_MAP] != padded:
        return False
    total = node.attrs.padding + padding
    kernel = Size(*graph.tensors[node.inputs[_WEIGHTS]].shape[1:3])
    window = Size(span(kernel.h, node.attrs.dilation.h), span(kernel.w, node.attrs.dilation.w))
    return max(total.top, total.bottom) < window.h and max(total.left, total.right) < window.w
