"""What later tools make of a quantized network: weights, biases and ranges that take the place of those that
:func:`quantize.apply` would choose. The graph stays as exact as ever: only constants differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.types import Quant
from quantmcu_kit.ops.table import TABLE


@dataclass(frozen=True, eq=False)
class NodeAdjustment:
    """Constants of a weighted node.

    Attributes:
        weights: int8, integers of the node's width, in the weights' shape.
        scale: float32 per output channel, no smaller than ``weights.least_scale`` of the bias.
        bias: real, float64 per output channel.
    """

    weights: np.ndarray
    scale: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False)
class Adjustments:
    """Of some nodes and some feature maps, by name; what is not listed stays as it is.

    Attributes:
        maps: a map that is tied to others (``ties``) speaks for all of them.
    """

    nodes: Mapping[str, NodeAdjustment] = field(default_factory=dict)
    maps: Mapping[str, Quant] = field(default_factory=dict)

    def __or__(self, other: Adjustments) -> Adjustments:
        """Both, ``other`` where both know something."""
        return Adjustments({**self.nodes, **other.nodes}, {**self.maps, **other.maps})


NONE = Adjustments()


def adjustment_of(integer: Graph, node: Node) -> NodeAdjustment:
    """The constants that a weighted node of an integer graph has."""
    weights, bias = (integer.tensors[name] for name in node.inputs[1:3])
    return NodeAdjustment(weights.data, weights.quant.scale, _real_bias(bias))


def adjustments_of(integer: Graph) -> Adjustments:
    """Everything that an integer graph has: applied to its float graph they make it again."""
    weighted = [node for node in integer.nodes if TABLE[node.op].weight_axis is not None]
    return Adjustments(
        {node.name: adjustment_of(integer, node) for node in weighted},
        {tensor.name: tensor.quant for tensor in integer.feature_maps()},
    )


def _real_bias(bias: Tensor) -> np.ndarray:
    return bias.data.astype(np.float64) * bias.quant.scale.astype(np.float64)
