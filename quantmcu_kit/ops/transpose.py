"""TRANSPOSE: axes in another order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ops.carry import Carry, carry
from quantmcu_kit.ops.geometry import map_fields
from quantmcu_kit.ops.spec import Inputs, KernelCall, Operator, OpSpec, OutputQuant, Shape, elementwise_cost

_MAX_RANK = 4


@dataclass(frozen=True)
class Attrs:
    """Output axis i is input axis ``permutation[i]``."""

    permutation: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Params:
    """The permutation, how the input is read (output sizes and input strides, in elements, of the three axes after the
    batch; elements of its pixels), and what becomes of a value."""

    permutation: tuple[int, ...]
    sizes: tuple[int, int, int]
    strides: tuple[int, int, int]
    in_channels: int
    carry: Carry


def decode(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> Attrs:
    """Attributes of a .tflite TRANSPOSE."""
    permutation = inputs[1]
    if not permutation.is_constant:
        raise QmkitError(
            "unsupported-op",
            f"TRANSPOSE to {outputs[0].name!r} computes its permutation at run time",
            why="the generated library fixes the order of the axes when it is built",
            hint="export with a constant permutation",
        )
    return Attrs(tuple(permutation.data.reshape(-1).tolist()))


def infer(attrs: Attrs, x: Tensor, permutation: Tensor | None = None) -> Shape:
    """The sizes in their new order."""
    if sorted(attrs.permutation) != list(range(len(x.shape))):
        raise QmkitError(
            "bad-shape",
            f"{list(attrs.permutation)} is not an order of the axes of shape {list(x.shape)}",
            why="each axis must be named once",
        )
    return tuple(x.shape[axis] for axis in attrs.permutation)


def float_ref(attrs: Attrs, x: np.ndarray, permutation: np.ndarray | None = None) -> np.ndarray:
    """The array with its axes reordered."""
    return x.transpose(attrs.permutation)


def prepare(attrs: Attrs, inputs: Inputs, output: Tensor) -> Params:
    """Sizes and strides; axes of size 1 are put in front of those that are missing to four."""
    shape = inputs[0].shape
    strides = [int(np.prod(shape[axis + 1 :], dtype=np.int64)) for axis in range(len(shape))]
    missing = _MAX_RANK - len(shape)
    sizes = (1,) * missing + output.shape[1:]
    steps = (0,) * missing + tuple(strides[axis] for axis in attrs.permutation[1:])
    return Params(attrs.permutation, sizes, steps, shape[-1], carry(inputs[0], output))


def int_ref(params: Params, x: np.ndarray, *_constants: np.ndarray | None) -> np.ndarray:
    """The array with its axes reordered."""
    return params.carry.apply(x.transpose(params.permutation))


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_transpose``."""
    fields = (
        ("out", map_fields(params.sizes, params.carry.out_dtype)),
        ("stride", tuple(zip("hwc", params.strides, strict=True))),
        ("in_channels", params.in_channels),
        ("in_bits", params.carry.in_dtype.bits),
        params.carry.table_field,
    )
    return (KernelCall("transpose", fields),)


def batch_stays(attrs: Attrs, x: Tensor, permutation: Tensor | None = None) -> bool:
    """The first axis of a feature map is the batch and must stay the first."""
    return x.is_constant or attrs.permutation[0] == 0


def rank_fits(attrs: Attrs, x: Tensor, permutation: Tensor | None = None) -> bool:
    """A transposed feature map must not have more than 4 axes."""
    return x.is_constant or len(x.shape) <= _MAX_RANK


SPEC = OpSpec(
    "TRANSPOSE",
    Attrs,
    decode,
    infer,
    float_ref,
    prepare,
    int_ref,
    elementwise_cost,
    emit,
    constraints=(batch_stays, rank_fits),
    output_quant=OutputQuant.SAME,
)
