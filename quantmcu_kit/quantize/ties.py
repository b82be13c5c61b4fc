"""Which feature maps share one quantization: an op that only moves or compares values cannot rescale them."""

from __future__ import annotations

from collections.abc import Mapping

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ops.spec import OutputQuant
from quantmcu_kit.ops.table import TABLE


def tie_groups(graph: Graph, bits: Mapping[str, int] | None = None) -> list[list[str]]:
    """Feature maps in groups of equal quantization, each in graph order (union-find over OutputQuant.SAME).

    A CONCATENATION does not tie an input whose quantization is fixed (probabilities): its kernel rescales that one.
    Maps of different widths are not tied: the op between them requantizes.

    Args:
        bits: width of each feature map; all of one width without it.
    """
    parent = {tensor.name: tensor.name for tensor in graph.feature_maps()}
    fixed = {node.output for node in graph.nodes if TABLE[node.op].output_quant is OutputQuant.UNIT}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for node in graph.nodes:
        if TABLE[node.op].output_quant is not OutputQuant.SAME:
            continue
        inputs = graph.activation_inputs(node)
        for name in inputs:
            if bits is not None and bits[name] != bits[node.output]:
                continue
            if len(inputs) == 1 or root(name) not in {root(other) for other in fixed}:
                parent[root(node.output)] = root(name)
    groups: dict[str, list[str]] = {}
    for name in parent:
        groups.setdefault(root(name), []).append(name)
    return list(groups.values())
