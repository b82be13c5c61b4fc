"""Which element types may meet at a node, and what a feature map may look like: rules that hold for every operator."""

from __future__ import annotations

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import DType
from quantmcu_kit.ops.spec import Inputs, OpSpec
from quantmcu_kit.tflite.quantization import MIN_SCALE

MAX_MAP_RANK = 4
MAP_TYPES = (DType.F32, DType.I8)
_INDEX_TYPES = (DType.I32, DType.I64)
_CONVERSIONS = {
    "QUANTIZE": ((DType.F32, DType.I8), (DType.I8,)),
    "DEQUANTIZE": ((DType.F16, DType.I8), (DType.F32,)),
}
# the operand types of a weighted operator's weights and bias, by the type of its map
_WEIGHT_TYPES = {DType.F32: (DType.F32, DType.F16, DType.I8), DType.I8: (DType.I8,)}
_BIAS_TYPES = {DType.F32: (DType.F32, DType.F16), DType.I8: (DType.I32,)}
# operators whose inputs after the first say where or how much: shapes, axes, paddings
_INDEXED = frozenset(("MEAN", "PAD", "RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE"))


def _refuse_types(spec: OpSpec, node: str, tensor: Tensor, allowed: tuple[DType, ...]) -> QmkitError:
    return QmkitError(
        "unsupported-dtype",
        f"{spec.name} {node!r} has tensor {tensor.name!r} of type {tensor.dtype.value}",
        why=f"supported here: {', '.join(dtype.value for dtype in allowed)}",
        hint="convert the whole network to float32 or to full-integer int8",
    )


def check_types(spec: OpSpec, node: str, inputs: Inputs, output: Tensor) -> None:
    """Raise ``unsupported-dtype`` or ``bad-quantization`` when a node mixes element types that no kernel mixes."""
    x = inputs[0]
    if spec.name in _CONVERSIONS:
        sources, results = _CONVERSIONS[spec.name]
        expected = [(x, sources), (output, results)]
    elif spec.name == "SHAPE":
        expected = [(output, _INDEX_TYPES)]
    elif spec.weight_axis is not None:
        _require(spec, node, [(x, MAP_TYPES)])
        types = (_WEIGHT_TYPES[x.dtype], _BIAS_TYPES[x.dtype])
        operands = zip(inputs[1:], types, strict=False)  # the bias may be missing
        expected = [*operands, (output, (x.dtype,))]
    else:
        others = _INDEX_TYPES if spec.name in _INDEXED else (x.dtype,)
        expected = [*((tensor, others) for tensor in inputs[1:]), (output, (x.dtype,))]
    _require(spec, node, expected)
    _check_scales(spec, node, inputs)


def _require(spec: OpSpec, node: str, expected: list[tuple[Tensor | None, tuple[DType, ...]]]) -> None:
    for tensor, allowed in expected:
        if tensor is not None and tensor.dtype not in allowed:
            raise _refuse_types(spec, node, tensor, allowed)


def _bad_quantization(problem: str, why: str) -> QmkitError:
    return QmkitError("bad-quantization", problem, why=why, hint="quantize the network again with the TFLite converter")


def _check_scales(spec: OpSpec, node: str, inputs: Inputs) -> None:
    """Weights have any scales, along their channel axis, and one zero-point; other operands one positive scale."""
    for position, tensor in enumerate(inputs):
        if tensor is None or tensor.quant is None or (spec.name == "DEQUANTIZE" and tensor.is_constant):
            continue
        if spec.weight_axis is None or position != 1:
            check_single_scale(tensor)
        elif tensor.quant.axis not in (None, spec.weight_axis) or np.unique(tensor.quant.zero_point).size > 1:
            raise _bad_quantization(
                f"{spec.name} {node!r} cannot use the per-channel quantization of {tensor.name!r}",
                "weights have a scale for each output channel and one zero-point",
            )
        elif spec.name == "FULLY_CONNECTED" and not (tensor.quant.scale >= MIN_SCALE).all():
            raise _bad_quantization(
                f"{spec.name} {node!r} has weights {tensor.name!r} with a scale below {MIN_SCALE:g}",
                "only convolutions may have negative or zero scales, as in the TFLite runtime",
            )


def check_single_scale(tensor: Tensor) -> None:
    """Raise ``bad-quantization`` unless an 8-bit tensor has one scale of at least ``MIN_SCALE``."""
    if tensor.quant.axis is not None:
        raise _bad_quantization(
            f"tensor {tensor.name!r} has {tensor.quant.scale.size} scales",
            "only weights have more than one scale and one zero-point",
        )
    if not tensor.quant.s >= MIN_SCALE:
        raise _bad_quantization(
            f"tensor {tensor.name!r} has the scale {float(tensor.quant.s):g}, below {MIN_SCALE:g}",
            "a map's scale is positive; only weights of convolutions may have a negative or zero one",
        )


def check_map(tensor: Tensor) -> None:
    """Raise unless ``tensor``, computed at run time, is an int8 or float32 feature map with a batch of 1."""
    if tensor.dtype not in MAP_TYPES:
        raise QmkitError(
            "unsupported-dtype",
            f"feature map {tensor.name!r} has elements of type {tensor.dtype.value}",
            why="feature maps are float32, int8 or quantized uint8",
            hint="convert the network to float32 or to full-integer int8",
        )
    if not 1 <= len(tensor.shape) <= MAX_MAP_RANK:
        raise QmkitError(
            "unsupported-rank",
            f"feature map {tensor.name!r} has {len(tensor.shape)} axes",
            why=f"feature maps have 1 to {MAX_MAP_RANK}, the first of which is the batch",
            hint="reshape it to batch, height, width, channels",
        )
    if 0 in tensor.shape:
        raise QmkitError(
            "bad-model",
            f"feature map {tensor.name!r} of shape {list(tensor.shape)} is empty",
            why="every axis has at least one element",
            hint="export the network again",
        )
    if tensor.shape[0] != 1:
        raise QmkitError(
            "unsupported-batch",
            f"feature map {tensor.name!r} has the shape {list(tensor.shape)}: its first axis is not a batch of 1",
            why="a microcontroller runs one picture at a time",
            hint="export with batch size 1 and keep the batch axis in every tensor",
        )
    if tensor.quant is not None:
        check_single_scale(tensor)
