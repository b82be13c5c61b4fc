"""Run a graph as the model file would be run: arrays of the file's element types and layout, in and out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantmcu_kit.ir.graph import Graph, Port
from quantmcu_kit.ir.types import DType
from quantmcu_kit.ops.interpret import Interpreter


def random_input(port: Port, rng: np.random.Generator) -> np.ndarray:
    """Values over the whole range of an integer input, over [-1, 1) of a float one."""
    if port.dtype is DType.F32:
        return rng.uniform(-1, 1, port.shape).astype(np.float32)
    limits = np.iinfo(port.dtype.numpy)
    return rng.integers(limits.min, limits.max + 1, port.shape).astype(port.dtype.numpy)


def run_ports(graph: Graph, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Outputs of a float or integer graph, as the model file's outputs would be."""
    integer = graph.feature_maps()[0].dtype is DType.I8
    feeds = {port.tensor: _enter(graph, port, x) for port, x in zip(graph.inputs, inputs, strict=True)}
    results = Interpreter(graph, integer=integer).run(feeds)
    return [_leave(graph, port, results[port.tensor]) for port in graph.outputs]


def _enter(graph: Graph, port: Port, x: np.ndarray) -> np.ndarray:
    if port.permutation is not None:
        x = x.transpose(port.permutation)
    inner = graph.tensors[port.tensor]
    if port.dtype is DType.U8:
        x = (x.astype(np.int16) - 128).astype(np.int8)
    elif port.dtype is DType.F32 and inner.dtype is DType.I8:
        x = inner.quant.quantize(x, -128, 127).astype(np.int8)
    return np.ascontiguousarray(x)


def _leave(graph: Graph, port: Port, y: np.ndarray) -> np.ndarray:
    inner = graph.tensors[port.tensor]
    if port.dtype is DType.U8:
        return (y.astype(np.int16) + 128).astype(np.uint8)
    if port.dtype is DType.F32 and inner.dtype is DType.I8:
        return inner.quant.dequantize(y)
    return y
