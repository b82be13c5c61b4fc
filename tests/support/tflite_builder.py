"""Write small .tflite models: tensors and operators described as values in, bytes out.

Example:
    pool = options("Pool2DOptions", padding=VALID, stride_h=2, stride_w=2, filter_height=2, filter_width=2)
    model = build(
        [TensorDef("x", (1, 4, 4, 3), "int8", 0.5, -3), TensorDef("y", (1, 2, 2, 3), "int8", 0.5, -3)],
        [OperatorDef("MAX_POOL_2D", ["x"], ["y"], pool, version=2)],
        inputs=["x"],
        outputs=["y"],
    )
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
import tflite

_DTYPES = {
    "float32": tflite.TensorType.FLOAT32,
    "float16": tflite.TensorType.FLOAT16,
    "int8": tflite.TensorType.INT8,
    "uint8": tflite.TensorType.UINT8,
    "int16": tflite.TensorType.INT16,
    "int32": tflite.TensorType.INT32,
    "int64": tflite.TensorType.INT64,
    "bool": tflite.TensorType.BOOL,
}
_SCHEMA_VERSION = 3
_BUFFER_ALIGNMENT = 16  # what the TFLite runtime requires of constant data
_LAST_DEPRECATED_CODE = 127  # operator codes beyond int8 live in a second field


@dataclass(frozen=True, eq=False)
class TensorDef:
    """A tensor of the model file.

    Attributes:
        name: how operators refer to it.
        shape: static shape.
        dtype: numpy's name of the element type.
        scale: one scale, a sequence of them along ``axis``, or None for an unquantized tensor.
        zero_point: one for all scales, or as many as scales.
        axis: quantized dimension of a per-channel tensor.
        data: the constant's elements, converted to ``dtype``; None for a feature map.
        shape_signature: as ``shape`` with -1 for dimensions that are dynamic, or None.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    scale: float | Sequence[float] | np.ndarray | None = None
    zero_point: int | Sequence[int] | np.ndarray = 0
    axis: int = 0
    data: Any = None
    shape_signature: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Options:
    """Builtin options: the schema's table name and its fields in snake case."""

    table: str
    fields: tuple[tuple[str, Any], ...]


def options(table: str, **fields: Any) -> Options:
    """Options of ``table``, such as ``options("Conv2DOptions", stride_h=1, stride_w=1)``."""
    return Options(table, tuple(fields.items()))


@dataclass(frozen=True)
class OperatorDef:
    """An operator of the model file.

    Attributes:
        name: TFLite's name, such as ``CONV_2D``.
        inputs: tensor names, None for an absent optional input.
        outputs: tensor names.
        options: builtin options, None for an operator without.
        version: operator version; TFLite's resolver refuses int8 operators below 2 or 3.
        custom_code: name of a ``CUSTOM`` operator.
    """

    name: str
    inputs: Sequence[str | None]
    outputs: Sequence[str]
    options: Options | None = None
    version: int = 1
    custom_code: str | None = None


def constant(name: str, data: Any, dtype: str, **quantization: Any) -> TensorDef:
    """A constant tensor whose shape is that of ``data``."""
    array = np.asarray(data, dtype)
    return TensorDef(name, array.shape, dtype, data=array, **quantization)


def build(
    tensors: Sequence[TensorDef],
    operators: Sequence[OperatorDef],
    inputs: Sequence[str],
    outputs: Sequence[str],
    description: str = "",
) -> bytes:
    """The .tflite file of one subgraph ``main``; ``inputs`` and ``outputs`` name the network's tensors."""
    builder = flatbuffers.Builder(1024)
    index = {tensor.name: position for position, tensor in enumerate(tensors)}
    assert len(index) == len(tensors), "tensor names must differ"
    # Buffer 0 is empty by convention; every tensor has a buffer of its own, empty for feature maps.
    buffers = [_buffer(builder, None)] + [_buffer(builder, _payload(tensor)) for tensor in tensors]
    tables = [_tensor(builder, tensor, position + 1) for position, tensor in enumerate(tensors)]
    codes = list(dict.fromkeys((op.name, op.version, op.custom_code) for op in operators))
    nodes = [_operator(builder, op, index, codes.index((op.name, op.version, op.custom_code))) for op in operators]
    subgraph = _table(
        builder,
        "SubGraph",
        tensors=_offsets(builder, tables),
        inputs=_ints(builder, [index[name] for name in inputs]),
        outputs=_ints(builder, [index[name] for name in outputs]),
        operators=_offsets(builder, nodes),
        name=builder.CreateString("main"),
    )
    model = _table(
        builder,
        "Model",
        version=_SCHEMA_VERSION,
        operator_codes=_offsets(builder, [_operator_code(builder, *code) for code in codes]),
        subgraphs=_offsets(builder, [subgraph]),
        description=builder.CreateString(description),
        buffers=_offsets(builder, buffers),
    )
    builder.Finish(model, file_identifier=b"TFL3")
    return bytes(builder.Output())


def _table(builder: flatbuffers.Builder, table: str, **fields: Any) -> int:
    """Offset of a table whose fields are scalars or offsets; None fields are left out."""
    getattr(tflite, f"{table}Start")(builder)
    for field, value in fields.items():
        if value is not None:
            camel = "".join(part.capitalize() for part in field.split("_"))
            getattr(tflite, f"{table}Add{camel}")(builder, value)
    return getattr(tflite, f"{table}End")(builder)


def _offsets(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def _ints(builder: flatbuffers.Builder, values: Sequence[int]) -> int:
    return builder.CreateNumpyVector(np.asarray(values, np.int32))


def _payload(tensor: TensorDef) -> bytes | None:
    if tensor.data is None:
        return None
    data = np.asarray(tensor.data).astype(tensor.dtype)
    assert data.shape == tuple(tensor.shape), f"{tensor.name}: data of shape {data.shape}, not {tensor.shape}"
    return data.tobytes()


def _buffer(builder: flatbuffers.Builder, payload: bytes | None) -> int:
    data = None
    if payload is not None:
        builder.StartVector(1, len(payload), _BUFFER_ALIGNMENT)
        builder.head -= len(payload)
        builder.Bytes[builder.head : builder.head + len(payload)] = payload
        data = builder.EndVector()
    return _table(builder, "Buffer", data=data)


def _tensor(builder: flatbuffers.Builder, tensor: TensorDef, buffer: int) -> int:
    signature = None if tensor.shape_signature is None else _ints(builder, tensor.shape_signature)
    return _table(
        builder,
        "Tensor",
        shape=_ints(builder, tensor.shape),
        type=_DTYPES[tensor.dtype],
        buffer=buffer,
        name=builder.CreateString(tensor.name),
        quantization=_quantization(builder, tensor),
        shape_signature=signature,
    )


def _quantization(builder: flatbuffers.Builder, tensor: TensorDef) -> int | None:
    if tensor.scale is None:
        return None
    scale = np.atleast_1d(np.asarray(tensor.scale, np.float32))
    zero_point = np.broadcast_to(np.asarray(tensor.zero_point, np.int64), scale.shape)
    return _table(
        builder,
        "QuantizationParameters",
        scale=builder.CreateNumpyVector(scale),
        zero_point=builder.CreateNumpyVector(np.ascontiguousarray(zero_point)),
        quantized_dimension=tensor.axis,
    )


def _operator_code(builder: flatbuffers.Builder, name: str, version: int, custom_code: str | None) -> int:
    code = getattr(tflite.BuiltinOperator, name)
    custom = None if custom_code is None else builder.CreateString(custom_code)
    return _table(
        builder,
        "OperatorCode",
        deprecated_builtin_code=min(code, _LAST_DEPRECATED_CODE),
        custom_code=custom,
        version=version,
        builtin_code=code,
    )


def _operator(builder: flatbuffers.Builder, op: OperatorDef, index: dict[str, int], code: int) -> int:
    kind = table = None
    if op.options is not None:
        kind = getattr(tflite.BuiltinOptions, op.options.table)
        table = _options(builder, op.options)
    return _table(
        builder,
        "Operator",
        opcode_index=code,
        inputs=_ints(builder, [-1 if name is None else index[name] for name in op.inputs]),
        outputs=_ints(builder, [index[name] for name in op.outputs]),
        builtin_options_type=kind,
        builtin_options=table,
    )


def _options(builder: flatbuffers.Builder, chosen: Options) -> int:
    """Options table; sequences become int32 vectors, which must be written before the table is begun."""
    fields = {
        name: _ints(builder, value) if isinstance(value, (list, tuple, np.ndarray)) else value
        for name, value in chosen.fields
    }
    return _table(builder, chosen.table, **fields)
