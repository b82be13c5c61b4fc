"""CONCATENATION along any axis but the batch.

Integer semantics: bytes are copied where an input has the output's quantization, as TFLite requires of int8. Where it
differs, as legacy uint8 allows, values are rescaled by the float32 rule of ``reference/concatenation.h``. Between other
widths they are requantized by the rule of QUANTIZE.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tflite

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.region import Interval, Region
from quantmcu_kit.ir.types import Activation, DType, Quant
from quantmcu_kit.numerics.fixedpoint import round_half_away
from quantmcu_kit.ops.carry import carry
from quantmcu_kit.ops.geometry import decode_activation
from quantmcu_kit.ops.halo import Regions, map_size
from quantmcu_kit.ops.lookup import INPUTS, c_table, check_ratio
from quantmcu_kit.ops.spec import Inputs, KernelCall, Operator, OpSpec, OutputQuant, Shape, elementwise_cost

_TO_UINT8 = 128
_MAX_RATIO = 2.0**22  # |q - zero_point| <= 255, so rescaled values stay below 2^31


@dataclass(frozen=True)
class Attrs:
    """The axis along which inputs follow one another, from 0."""

    axis: int


@dataclass(frozen=True, eq=False)
class Part:
    """One input.

    Attributes:
        row: consecutive values that go to each row of the output.
        offset: where they begin within the row.
        channels: values of the input's pixels.
        table: rescales, as in ``ops.lookup``; None copies.
        bits: in which the C holds a value of the input; constants lie in whole bytes.
        place: rows and columns of the output that it becomes, where rows or columns of maps are joined.
    """

    row: int
    offset: int
    channels: int
    table: np.ndarray | None
    bits: int
    place: Region | None


@dataclass(frozen=True, eq=False)
class Params:
    """The inputs as parts of ``rows`` rows of ``row`` values; ``channels`` are a pixel of the output."""

    axis: int
    rows: int
    row: int
    channels: int
    parts: tuple[Part, ...]
    out_dtype: DType


def decode(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> Attrs:
    """Attributes of a .tflite CONCATENATION."""
    options = operator.options(tflite.ConcatenationOptions)
    if decode_activation(options.FusedActivationFunction()) is not Activation.NONE:
        raise QmkitError(
            "unsupported-op",
            f"CONCATENATION to {outputs[0].name!r} has a fused activation",
            why="TFLite's kernel has none either",
            hint="export the activation as an operator of its own",
        )
    axis = options.Axis()
    return Attrs(axis + len(inputs[0].shape) if axis < 0 else axis)


def infer(attrs: Attrs, *inputs: Tensor) -> Shape:
    """The first input's shape with the sizes along the axis added up."""

    def others(shape: Shape) -> Shape:
        return shape[: attrs.axis] + shape[attrs.axis + 1 :]

    first = inputs[0].shape
    ranks_fit = all(len(x.shape) == len(first) for x in inputs) and 0 <= attrs.axis < len(first)
    if not ranks_fit or any(others(x.shape) != others(first) for x in inputs):
        raise QmkitError(
            "bad-shape",
            f"shapes {', '.join(str(list(x.shape)) for x in inputs)} cannot be concatenated along axis {attrs.axis}",
            why="all other axes must have the same sizes",
        )
    return (*first[: attrs.axis], sum(x.shape[attrs.axis] for x in inputs), *first[attrs.axis + 1 :])


def _concatenate(axis: int, arrays: list[np.ndarray]) -> np.ndarray:
    """The arrays one behind the other; constants are repeated for each picture of a batch."""
    batch = max(len(x) for x in arrays)
    return np.concatenate([np.broadcast_to(x, (batch, *x.shape[1:])) for x in arrays], axis)


def float_ref(attrs: Attrs, *inputs: np.ndarray) -> np.ndarray:
    """The inputs one behind the other."""
    return _concatenate(attrs.axis, list(inputs))


def _table(x: Tensor, output: Tensor) -> np.ndarray | None:
    """How values of the input become values of the output; None where they are the same."""
    if x.dtype is output.dtype and x.quant.same_as(output.quant):
        return None
    if x.dtype is output.dtype is DType.I8:
        return _rescaling_table(x.quant, output)
    return carry(x, output).table


def _rescaling_table(x: Quant, output: Tensor) -> np.ndarray:
    """int8 [256]: TFLite's rule in uint8 terms, step by step in float32."""
    y = output.quant
    check_ratio(float(x.s) / float(y.s), _MAX_RATIO, output)
    scale = np.float32(x.s) * (np.float32(1) / np.float32(y.s))
    bias = np.float32(-(x.z + _TO_UINT8)) * scale
    scaled = (INPUTS.astype(np.int32) + _TO_UINT8).astype(np.float32) * scale + bias
    rounded = np.array([round_half_away(float(value)) for value in scaled])
    return np.clip(rounded + y.z, output.dtype.low, output.dtype.high).astype(np.int8)


def _place(axis: int, start: int, size: int, output: Tensor) -> Region | None:
    """Where rows or columns [start, start + size) of a map [1, h, w, channels] lie; None for other axes and shapes."""
    if len(output.shape) != 4 or axis == 3:
        return None
    whole, joined = Region.whole(map_size(output)), Interval(start, start + size)
    return Region(joined, whole.columns) if axis == 1 else Region(whole.rows, joined)


def prepare(attrs: Attrs, inputs: Inputs, output: Tensor) -> Params:
    """Where each input goes, and its table."""
    inner = int(np.prod(output.shape[attrs.axis + 1 :], dtype=np.int64))
    parts = []
    offset = 0
    for x in inputs:
        place = _place(attrs.axis, offset // inner, x.shape[attrs.axis], output)
        bits = 8 if x.is_constant else x.dtype.bits
        parts.append(Part(x.shape[attrs.axis] * inner, offset, x.shape[-1], _table(x, output), bits, place))
        offset += parts[-1].row
    return Params(attrs.axis, output.elements // offset, offset, output.shape[-1], tuple(parts), output.dtype)


def int_ref(params: Params, *inputs: np.ndarray) -> np.ndarray:
    """The inputs, rescaled where their quantization differs, one behind the other."""
    arrays = [
        x if part.table is None else part.table[x.view(np.uint8)] for x, part in zip(inputs, params.parts, strict=True)
    ]
    return _concatenate(params.axis, arrays)


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_concatenation`` per input."""
    calls = []
    for index, part in enumerate(params.parts):
        fields = (
            ("rows", params.rows),
            ("row", part.row),
            ("out_row", params.row),
            ("out_offset", part.offset),
            ("channels", part.channels),
            ("out_channels", params.channels),
            ("in_bits", part.bits),
            ("out_bits", params.out_dtype.bits),
            ("table", c_table(part.table)),
        )
        calls.append(KernelCall("concatenation", fields, (index,), place=part.place))
    return tuple(calls)


def halo(attrs: Attrs, inputs: Inputs, output: Tensor, region: Region) -> Regions:
    """The same pixels of every input; along the axis that is joined, counted from where the input begins."""
    regions: list[Region | None] = []
    before = 0
    for tensor in inputs:
        rows, columns = region.rows, region.columns
        if attrs.axis == 1:
            rows = rows.shifted(-before)
        elif attrs.axis == 2:
            columns = columns.shifted(-before)
        regions.append(None if tensor.is_constant else Region(rows, columns))
        before += tensor.shape[attrs.axis]
    return tuple(regions)


def batch_stays(attrs: Attrs, *inputs: Tensor) -> bool:
    """Feature maps can be concatenated along any axis but the first, the batch."""
    return attrs.axis != 0


SPEC = OpSpec(
    "CONCATENATION",
    Attrs,
    decode,
    infer,
    float_ref,
    prepare,
    int_ref,
    elementwise_cost,
    emit,
    constraints=(batch_stays,),
    output_quant=OutputQuant.SAME,
    halo=halo,
)
