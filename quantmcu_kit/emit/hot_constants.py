"""Which constants are copied from flash to RAM, where flash makes the core wait: those that are read most often."""

from __future__ import annotations

from collections.abc import Sequence

from quantmcu_kit.emit.constants import Constant
from quantmcu_kit.emit.layers import Layer
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ops.table import TABLE


def hot_constants(graph: Graph, layers: Sequence[Layer], budget: int) -> frozenset[str]:
    """Names of constants of ``budget`` bytes at most, those first that are read most often per byte."""
    readings = [
        (_reads(graph, layer, constant), -constant.bytes, constant) for layer in layers for constant in layer.constants
    ]
    chosen: set[str] = set()
    for _, _, constant in sorted(readings, key=lambda each: each[:2], reverse=True):
        if constant.bytes <= budget:
            budget -= constant.bytes
            chosen.add(constant.name)
    return frozenset(chosen)


def _reads(graph: Graph, layer: Layer, constant: Constant) -> float:
    """How often a run reads each byte: weights and what goes with them once per pixel, a table once per value."""
    output = graph.tensors[layer.node.output]
    if TABLE[layer.node.op].weight_axis is None:
        return output.elements / constant.bytes
    return output.elements / output.shape[-1]
