"""Weights stored as float16 or int8 under float feature maps become float32."""

from __future__ import annotations

import dataclasses

from quantmcu_kit.ir.graph import Graph, Tensor
from quantmcu_kit.ir.types import DType

_STORAGE = (DType.F16, DType.I8)


def dequantize_weights(graph: Graph) -> Graph:
    """The graph with every constant operand of a float node as float32.

    Dynamic-range models are read as what their weights stand for; the TFLite runtime quantizes their activations
    on the fly, so its results differ from these by that rounding.
    """
    tensors = dict(graph.tensors)
    for node in graph.nodes:
        if graph.tensors[node.output].dtype is not DType.F32:
            continue
        for constant in graph.input_tensors(node):
            if constant is not None and constant.is_constant and constant.dtype in _STORAGE:
                tensors[constant.name] = _widen(constant)
    return graph.replace(tensors=tensors)


def _widen(constant: Tensor) -> Tensor:
    data = constant.data.astype("float32") if constant.quant is None else constant.quant.dequantize(constant.data)
    return dataclasses.replace(constant, dtype=DType.F32, quant=None, data=data)
