"""Decoded samples as the model file wants them at its input."""

from __future__ import annotations

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.contract import Preprocess
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.types import DType


def runtime_inputs(graph: Graph, data: np.ndarray, preprocess: Preprocess | None) -> np.ndarray:
    """Samples [n, ...] in the element type, shape and layout of the model file's only input.

    Args:
        data: as ``Dataset`` decodes them, in the graph's layout: uint8 pixels, int8 quantized values, or floats.
    Raises:
        QmkitError: ``bad-array`` for int8 values given to a float input.
    """
    port = graph.inputs[0]
    if port.dtype is DType.F32:
        values = real_inputs(graph, data, preprocess)
    else:
        values = quantized_inputs(graph, data, preprocess)
        if port.dtype is DType.U8:
            values = values.view(np.uint8) ^ np.uint8(0x80)
    if port.permutation is not None:
        values = values.transpose(np.argsort(port.permutation))
    return np.ascontiguousarray(values).reshape(len(data), *port.shape[1:])


def quantized_inputs(graph: Graph, data: np.ndarray, preprocess: Preprocess | None) -> np.ndarray:
    """int8 values [n, ...] of the integer graph's only input, for samples as for :func:`runtime_inputs`."""
    quant = graph.tensors[graph.inputs[0].tensor].quant
    if data.dtype == np.int8:
        return data
    if data.dtype == np.uint8 and preprocess is not None:
        tables = preprocess.table(quant, data.shape[-1])
        return np.stack([table[data[..., channel]] for channel, table in enumerate(tables)], axis=-1)
    return quant.quantize(data.astype(np.float32), -128, 127).astype(np.int8)


def real_inputs(graph: Graph, data: np.ndarray, preprocess: Preprocess | None) -> np.ndarray:
    """float32 inputs [n, ...] in the graph's layout; int8 values mean what the graph's input quantization says."""
    if data.dtype == np.uint8 and preprocess is not None:
        return preprocess.normalise(data)
    if data.dtype != np.int8:
        return data.astype(np.float32)
    quant = graph.tensors[graph.inputs[0].tensor].quant
    if quant is None:
        raise QmkitError(
            "bad-array",
            "int8 samples were given to a float network",
            why="nothing says which real values they stand for",
            hint="save the samples as float32",
        )
    return quant.dequantize(data)
