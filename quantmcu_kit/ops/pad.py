"""PAD: constant values around a tensor: 0, or the zero-point, which means 0. Integer rule: scale and zero-point kept;
where the output has another width, values are requantized.

Integer semantics: TFLite ``reference/pad.h``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.region import Region
from quantmcu_kit.ops.carry import Carry, carry
from quantmcu_kit.ops.geometry import map_fields
from quantmcu_kit.ops.halo import Regions, first_only
from quantmcu_kit.ops.spec import Cost, Inputs, KernelCall, Operator, OpSpec, OutputQuant, Shape


@dataclass(frozen=True)
class Attrs:
    """Elements added before and after each axis."""

    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Params:
    """Integer parameters: paddings, shapes, the value of padding, and what becomes of the others."""

    attrs: Attrs
    in_shape: Shape
    out_shape: Shape
    value: int
    carry: Carry


def decode(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> Attrs:
    """Attributes of a .tflite PAD; the paddings [rank, 2] are its second input, which must be a constant."""
    paddings = inputs[1]
    if paddings is None or not paddings.is_constant:
        raise QmkitError(
            "unsupported-op",
            "PAD computes its paddings at run time",
            why="paddings decide shapes, which a static library fixes when it is built",
            hint="export the model with constant paddings",
        )
    rank = len(inputs[0].shape)
    if paddings.data.shape != (rank, 2) or (paddings.data < 0).any():
        raise QmkitError(
            "bad-shape",
            f"paddings of shape {list(paddings.data.shape)} do not fit an input of {rank} axes",
            why="each axis has two paddings, none negative",
        )
    return Attrs(*(tuple(int(size) for size in side) for side in paddings.data.T))


def infer(attrs: Attrs, x: Tensor, paddings: Tensor | None = None) -> Shape:
    """Each axis grown by its paddings."""
    return tuple(size + sum(sides) for size, *sides in zip(x.shape, attrs.before, attrs.after, strict=True))


def _padded(attrs: Attrs, x: np.ndarray, value: int) -> np.ndarray:
    return np.pad(x, tuple(zip(attrs.before, attrs.after, strict=True)), constant_values=value)


def float_ref(attrs: Attrs, x: np.ndarray, _paddings: np.ndarray | None = None) -> np.ndarray:
    """float32 map within zeros."""
    return _padded(attrs, x.astype(np.float32), 0)


def prepare(attrs: Attrs, inputs: Inputs, output: Tensor) -> Params:
    """Integer parameters from quantized tensors."""
    return Params(attrs, inputs[0].shape, output.shape, output.quant.z, carry(inputs[0], output))


def int_ref(params: Params, x: np.ndarray, *_paddings: np.ndarray) -> np.ndarray:
    """The map within zero-points."""
    return _padded(params.attrs, params.carry.apply(x), params.value)


def cost(attrs: Attrs, inputs: Inputs, output: Tensor) -> Cost:
    """No multiply-accumulates: bytes only."""
    return Cost(0, inputs[0].bytes, output.bytes)


def halo(attrs: Attrs, inputs: Inputs, output: Tensor, region: Region) -> Regions:
    """The same pixels, before they were moved; what was padded lies outside of the input."""
    moved = Region(region.rows.shifted(-attrs.before[1]), region.columns.shifted(-attrs.before[2]))
    return first_only(moved, inputs)


def _height_width_channels(values: tuple[int, ...], fill: int) -> tuple[int, int, int]:
    """``values`` without the batch, filled up in front to three."""
    rest = values[1:]
    return (*(fill,) * (3 - len(rest)), *rest)


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_pad``."""
    before = _height_width_channels(params.attrs.before, 0)
    fields = (
        ("in", map_fields(_height_width_channels(params.in_shape, 1), params.carry.in_dtype)),
        ("out", map_fields(_height_width_channels(params.out_shape, 1), params.carry.out_dtype)),
        ("before", tuple(zip("hwc", before, strict=True))),
        ("value", params.value),
        params.carry.table_field,
    )
    return (KernelCall("pad", fields),)


def at_most_four_axes(attrs: Attrs, x: Tensor, paddings: Tensor | None = None) -> bool:
    """The input must have a batch and one to three more axes, and the batch must not be padded."""
    return 2 <= len(x.shape) <= 4 and attrs.before[0] == attrs.after[0] == 0


SPEC = OpSpec(
    "PAD",
    Attrs,
    decode,
    infer,
    float_ref,
    prepare,
    int_ref,
    cost,
    emit,
    constraints=(at_most_four_axes,),
    output_quant=OutputQuant.SAME,
    halo=halo,
)
