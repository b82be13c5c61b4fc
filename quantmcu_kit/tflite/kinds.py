"""How a model came: float, float16 weights, dynamic range, int8 or legacy uint8. For people; no stage depends on it."""

from __future__ import annotations

from enum import Enum

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.types import DType


class ModelKind(Enum):
    """The kind of a model file; the value is what the user reads."""

    FLOAT = "float32"
    FLOAT16 = "float16 weights"
    DYNAMIC_RANGE = "dynamic range (int8 weights, float activations)"
    INT8 = "int8"
    UINT8 = "legacy uint8"


def classify(graph: Graph) -> ModelKind:
    """The kind of a graph as loaded, before any pass."""
    boundary = ("QUANTIZE", "DEQUANTIZE")
    body = [node for node in graph.nodes if node.op not in boundary]
    if any(graph.tensors[node.output].dtype is DType.I8 for node in body):
        return ModelKind.UINT8 if _feeds_uint8_to_the_body(graph) else ModelKind.INT8
    constants = [tensor for tensor in graph.tensors.values() if tensor.is_constant]
    if any(tensor.dtype is DType.F16 for tensor in constants):
        return ModelKind.FLOAT16
    if any(tensor.dtype is DType.I8 for tensor in constants):
        return ModelKind.DYNAMIC_RANGE
    return ModelKind.FLOAT


def _feeds_uint8_to_the_body(graph: Graph) -> bool:
    return any(
        port.dtype is DType.U8 and any(node.op != "QUANTIZE" for node in graph.consumers(port.tensor))
        for port in graph.inputs
    )
