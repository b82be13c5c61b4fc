"""Compute at build time what does not depend on the network's inputs: shapes, and weights behind conversions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.types import DType
from quantmcu_kit.ops.table import TABLE

# Folding may blow constants up to this many times their size (int8 -> float32, then moved once more);
# only a file made to exhaust memory needs more.
_GROWTH = 16
_SLACK = 1 << 20  # bytes


def fold_constants(graph: Graph) -> Graph:
    """The graph with nodes of constant result replaced by constants.

    Folded are SHAPE, and STRIDED_SLICE, PACK, RESHAPE, SQUEEZE, TRANSPOSE and DEQUANTIZE of constants. All of them
    only move or convert values, so the result is exact.
    """
    tensors = dict(graph.tensors)
    budget = _GROWTH * sum(tensor.bytes for tensor in tensors.values() if tensor.is_constant) + _SLACK
    nodes = []
    for node in graph.nodes:
        inputs = [None if name is None else tensors[name] for name in node.inputs]
        output = tensors[node.output]
        if not _folds(node, inputs):
            nodes.append(node)
            continue
        budget -= output.bytes
        if budget < 0:
            raise QmkitError(
                "bad-model",
                "the constants of the model unfold to an excessive size",
                where=f"at {node.op} {node.name!r}",
                why=f"more than {_GROWTH} times what the file holds",
                hint="export the network again",
            )
        value = _RULES[node.op](node, inputs, output)
        data = np.ascontiguousarray(value, output.dtype.numpy).reshape(output.shape)
        tensors[node.output] = dataclasses.replace(output, data=data)
    return graph.replace(nodes=nodes, tensors=tensors)


def _folds(node: Node, inputs: list[Tensor | None]) -> bool:
    if node.op == "SHAPE":
        return True
    return node.op in _RULES and all(tensor is None or tensor.is_constant for tensor in inputs)


def _evaluate(node: Node, inputs: list[Tensor], output: Tensor) -> np.ndarray:
    return TABLE[node.op].float_ref(node.attrs, *(tensor.data for tensor in inputs))


def _shape(node: Node, inputs: list[Tensor], output: Tensor) -> np.ndarray:
    return np.array(inputs[0].shape)


def _reshape(node: Node, inputs: list[Tensor], output: Tensor) -> np.ndarray:
    return inputs[0].data.reshape(output.shape)


def _transpose(node: Node, inputs: list[Tensor], output: Tensor) -> np.ndarray:
    return inputs[0].data.transpose(node.attrs.permutation)


def _dequantize(node: Node, inputs: list[Tensor], output: Tensor) -> np.ndarray:
    x = inputs[0]
    return x.data if x.dtype is DType.F16 else x.quant.dequantize(x.data)


_RULES: dict[str, Callable[[Node, list[Tensor], Tensor], np.ndarray]] = {
    "SHAPE": _shape,
    "STRIDED_SLICE": _evaluate,
    "PACK": _evaluate,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "TRANSPOSE": _transpose,
    "DEQUANTIZE": _dequantize,
}
