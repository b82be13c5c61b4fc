"""MEAN over adjacent axes.

Integer semantics: TFLite ``reference/reduce.h``, ``QuantizedMeanOrSum``: the sum of centred values is multiplied by
in / out scale / count, a fixed-point number whose multiplier is divided and truncated, and rounded twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tflite

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import DType
from quantmcu_kit.ops.requantize import Requant, check_accumulator, divided_multiplier, map_span
from quantmcu_kit.ops.spec import Cost, Inputs, KernelCall, Operator, OpSpec, Shape


@dataclass(frozen=True)
class Attrs:
    """Reduced axes, not negative, ascending, and whether they stay with size 1."""

    axes: tuple[int, ...]
    keep_dims: bool


@dataclass(frozen=True, eq=False)
class Params:
    """Integer parameters: the input as [outer, count, inner] per picture, and the requantization of the sums."""

    outer: int
    count: int
    inner: int
    in_channels: int
    out_shape: Shape
    in_dtype: DType
    requant: Requant


def decode(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> Attrs:
    """Attributes of a .tflite MEAN; the axes are its second input, which must be a constant."""
    axes = inputs[1]
    if axes is None or not axes.is_constant:
        raise QmkitError(
            "unsupported-op",
            "MEAN computes its axes at run time",
            why="axes decide shapes, which a static library fixes when it is built",
            hint="export the model with constant reduction axes",
        )
    rank = len(inputs[0].shape)
    listed = [int(axis) for axis in np.ravel(axes.data)]
    if any(not -rank <= axis < rank for axis in listed):
        raise QmkitError(
            "bad-shape",
            f"MEAN over axes {listed} of an input of {rank} axes",
            why=f"axes must lie within {-rank}..{rank - 1}",
        )
    reduced = sorted({axis % rank for axis in listed})
    return Attrs(tuple(reduced), operator.options(tflite.ReducerOptions).KeepDims())


def infer(attrs: Attrs, x: Tensor, axes: Tensor | None = None) -> Shape:
    """The input's shape with reduced axes of size 1, or without them."""
    if attrs.keep_dims:
        return tuple(1 if axis in attrs.axes else size for axis, size in enumerate(x.shape))
    return tuple(size for axis, size in enumerate(x.shape) if axis not in attrs.axes)


def float_ref(attrs: Attrs, x: np.ndarray, _axes: np.ndarray | None = None) -> np.ndarray:
    """float32 mean."""
    return x.astype(np.float32).mean(axis=attrs.axes, keepdims=attrs.keep_dims, dtype=np.float32)


def _blocks(attrs: Attrs, shape: Shape) -> tuple[int, int, int] | None:
    """(outer, count, inner) such that the input is that array, reduced over its middle; None where it is not."""
    wide = [axis for axis in attrs.axes if shape[axis] > 1]
    first, last = (wide[0], wide[-1]) if wide else (0, -1)
    between = shape[first : last + 1]
    if any(size > 1 and axis not in wide for axis, size in enumerate(between, start=first)):
        return None
    return tuple(int(np.prod(part, dtype=np.int64)) for part in (shape[:first], between, shape[last + 1 :]))


def prepare(attrs: Attrs, inputs: Inputs, output: Tensor) -> Params:
    """Integer parameters from quantized tensors."""
    x = inputs[0]
    outer, count, inner = _blocks(attrs, x.shape)
    multiplier, shift = divided_multiplier(float(x.quant.s) / float(output.quant.s), count)
    requant = Requant(
        bias=np.array([-x.quant.z * count], np.int32),
        multiplier=np.array([multiplier], np.int32),
        shift=np.array([shift], np.int8),
        zero_point=output.quant.z,
        low=output.dtype.low,
        high=output.dtype.high,
        dtype=output.dtype,
    )
    check_accumulator(np.array([map_span(x.dtype) * count]), requant.shift, output)
    return Params(outer, count, inner, x.shape[-1], output.shape, x.dtype, requant)


def int_ref(params: Params, x: np.ndarray, *_axes: np.ndarray) -> np.ndarray:
    """A map [n, ...] -> the output's shape, exact."""
    sums = x.reshape(-1, params.count, params.inner).sum(axis=1, dtype=np.int32)
    return params.requant.apply(sums).reshape(-1, *params.out_shape[1:])


def cost(attrs: Attrs, inputs: Inputs, output: Tensor) -> Cost:
    """No multiply-accumulates: bytes only."""
    return Cost(0, inputs[0].bytes, output.bytes)


def sums(attrs: Attrs, inputs: Inputs, output: Tensor) -> int:
    """One per channel where a map [1, h, w, channels] is reduced over height and width."""
    is_global = len(inputs[0].shape) == 4 and attrs.axes == (1, 2)
    return output.elements if is_global else 0


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_mean``."""
    requant = params.requant
    fields = (
        ("outer", params.outer),
        ("count", params.count),
        ("inner", params.inner),
        ("in_channels", params.in_channels),
        ("out_channels", params.out_shape[-1]),
        ("bias", int(requant.bias[0])),
        ("multiplier", int(requant.multiplier[0])),
        ("shift", int(requant.shift[0])),
        ("zero_point", requant.zero_point),
        ("low", requant.low),
        ("high", requant.high),
        ("in_bits", params.in_dtype.bits),
        ("out_bits", requant.dtype.bits),
    )
    return (KernelCall("mean", fields),)


def axes_are_adjacent(attrs: Attrs, x: Tensor, axes: Tensor | None = None) -> bool:
    """The reduced axes must be adjacent (axes of size 1 do not count) and must not include the batch."""
    return 0 not in attrs.axes and _blocks(attrs, x.shape) is not None


SPEC = OpSpec(
    "MEAN",
    Attrs,
    decode,
    infer,
    float_ref,
    prepare,
    int_ref,
    cost,
    emit,
    constraints=(axes_are_adjacent,),
    sums=sums,
)
