"""Networks of 8-bit maps and weights with random widths in their place, and values that fill them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.types import DType, Quant
from quantmcu_kit.ops.table import TABLE

WIDTHS = (8, 4, 2)


def narrowed(graph: Graph, rng: np.random.Generator, bits: Mapping[str, int] | None = None) -> Graph:
    """The network with a random width of each map and each weight tensor; its ports keep theirs.

    Views mostly keep the width of what they show. All weights are new: sums fill the range of their map.

    Args:
        bits: widths of maps and weights by name that are not random.
    """
    bits = bits or {}
    ports = {port.tensor for port in (*graph.inputs, *graph.outputs)}
    tensors = dict(graph.tensors)
    for node in graph.nodes:
        if node.output not in ports:
            width = bits.get(node.output) or int(rng.choice(WIDTHS))
            tensors[node.output] = _narrowed_map(tensors[node.output], width, rng)
            if TABLE[node.op].is_view and node.output not in bits and rng.random() < 0.7:
                like = tensors[node.inputs[0]]
                tensors[node.output] = dataclasses.replace(tensors[node.output], dtype=like.dtype, quant=like.quant)
        if TABLE[node.op].weight_axis is not None:
            width = bits.get(node.inputs[1]) or int(rng.choice(WIDTHS))
            tensors |= _weights(node, tensors, width, rng)
    return graph.replace(tensors=tensors)


def _narrowed_map(tensor: Tensor, bits: int, rng: np.random.Generator) -> Tensor:
    """A map of another width with a zero-point of its type; 8 bits leave it as it is."""
    dtype = DType.feature_map(bits)
    if dtype is DType.I8:
        return tensor
    scale = float(tensor.quant.s) * 255 / dtype.high * rng.uniform(0.3, 1.2)
    margin = dtype.high // 3 if rng.random() < 0.8 else 0  # a zero-point at an edge may leave one value only
    quant = Quant.per_tensor(scale, int(rng.integers(margin, dtype.high - margin, endpoint=True)))
    return dataclasses.replace(tensor, dtype=dtype, quant=quant)


def _weights(node: Node, tensors: Mapping[str, Tensor], bits: int, rng: np.random.Generator) -> dict[str, Tensor]:
    x, weights, bias = (tensors[name] for name in node.inputs)
    y, axis = tensors[node.output], TABLE[node.op].weight_axis
    dtype, channels = DType.weights(bits), weights.shape[axis]
    values = rng.integers(max(dtype.low, -127), dtype.high, weights.shape, endpoint=True).astype(np.int8)
    spread = 2**x.dtype.bits * dtype.high * np.sqrt(values.size / channels)  # of sums
    wanted = 2.0 ** rng.uniform(-2, 1, channels) * float(y.quant.s) * 2**y.dtype.bits / (float(x.quant.s) * spread)
    scales, zeros = wanted.astype(np.float32), np.zeros(channels, np.int32)
    offsets = rng.integers(-spread, spread, channels).astype(np.int32)
    return {
        weights.name: dataclasses.replace(weights, dtype=dtype, quant=Quant(scales, zeros, axis), data=values),
        bias.name: dataclasses.replace(bias, quant=Quant(scales * x.quant.s, zeros, 0), data=offsets),
    }
