"""RESIZE_NEAREST_NEIGHBOR: each output pixel is a copy of the input pixel nearest to it.

Semantics: TFLite ``reference/resize_nearest_neighbor.h``; which pixel is nearest is decided in float32, at build time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tflite

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.region import Interval, Region
from quantmcu_kit.ir.types import Size
from quantmcu_kit.numerics.fixedpoint import round_half_away
from quantmcu_kit.ops.carry import Carry, carry
from quantmcu_kit.ops.geometry import map_fields
from quantmcu_kit.ops.halo import Regions, first_only, map_size
from quantmcu_kit.ops.spec import Inputs, KernelCall, Operator, OpSpec, OutputQuant, Shape, elementwise_cost


@dataclass(frozen=True)
class Attrs:
    """Size of the output, and how output coordinates map to input coordinates."""

    size: Size
    align_corners: bool
    half_pixel_centers: bool


@dataclass(frozen=True, eq=False)
class Params:
    """Input row of each output row, input column of each output column (int32), shapes, what becomes of a value."""

    rows: np.ndarray
    columns: np.ndarray
    in_shape: Shape
    out_shape: Shape
    carry: Carry


def decode(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> Attrs:
    """Attributes of a .tflite RESIZE_NEAREST_NEIGHBOR; a size that is not constant yet is that of the output."""
    options = operator.options(tflite.ResizeNearestNeighborOptions)
    size = inputs[1].data.reshape(-1).tolist() if inputs[1].is_constant else outputs[0].shape[1:3]
    return Attrs(Size(*size), bool(options.AlignCorners()), bool(options.HalfPixelCenters()))


def infer(attrs: Attrs, x: Tensor, size: Tensor | None = None) -> Shape:
    """[n, h, w, c] -> [n, size.h, size.w, c]."""
    if len(x.shape) != 4 or attrs.size.h < 1 or attrs.size.w < 1:
        raise QmkitError(
            "bad-shape",
            f"a tensor of shape {list(x.shape)} cannot be resized to {attrs.size.h}x{attrs.size.w}",
            why="a 4-D map and a positive size are needed",
        )
    return (x.shape[0], attrs.size.h, attrs.size.w, x.shape[3])


def _nearest(attrs: Attrs, in_size: int, out_size: int) -> np.ndarray:
    """Input index (int32) of each output index along one axis."""
    if attrs.align_corners and out_size > 1:
        scale = np.float32(in_size - 1) / np.float32(out_size - 1)
    else:
        scale = np.float32(in_size) / np.float32(out_size)
    offset = np.float32(0.5 if attrs.half_pixel_centers else 0)
    position = (np.arange(out_size).astype(np.float32) + offset) * scale
    if attrs.align_corners:
        index = np.array([round_half_away(float(value)) for value in position])
    else:
        index = np.floor(position)
    return np.clip(index, 0, in_size - 1).astype(np.int32)


def _pick(attrs: Attrs, x: np.ndarray) -> np.ndarray:
    rows = _nearest(attrs, x.shape[1], attrs.size.h)
    columns = _nearest(attrs, x.shape[2], attrs.size.w)
    return x[:, rows[:, None], columns]


def float_ref(attrs: Attrs, x: np.ndarray, size: np.ndarray | None = None) -> np.ndarray:
    """The nearest pixels."""
    return _pick(attrs, x)


def prepare(attrs: Attrs, inputs: Inputs, output: Tensor) -> Params:
    """The nearest rows and columns."""
    _, in_h, in_w, _ = inputs[0].shape
    rows, columns = _nearest(attrs, in_h, attrs.size.h), _nearest(attrs, in_w, attrs.size.w)
    return Params(rows, columns, inputs[0].shape, output.shape, carry(inputs[0], output))


def int_ref(params: Params, x: np.ndarray, *_constants: np.ndarray | None) -> np.ndarray:
    """A map [n, h, w, c] -> [n, size.h, size.w, c]."""
    return params.carry.apply(x[:, params.rows[:, None], params.columns])


def halo(attrs: Attrs, inputs: Inputs, output: Tensor, region: Region) -> Regions:
    """From the nearest row of the first to that of the last, and columns likewise: positions grow with the output's."""

    def along(wanted: Interval, in_size: int, out_size: int) -> Interval:
        inside = wanted.clipped(out_size)
        picked = _nearest(attrs, in_size, out_size)[inside.start : inside.end]
        return Interval(int(picked[0]), int(picked[-1]) + 1) if inside.size else Interval(0, 0)

    size = map_size(inputs[0])
    seen = Region(along(region.rows, size.h, attrs.size.h), along(region.columns, size.w, attrs.size.w))
    return first_only(seen, inputs)


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_resize_nearest_neighbor``."""
    fields = (
        ("in", map_fields(params.in_shape[1:], params.carry.in_dtype)),
        ("out", map_fields(params.out_shape[1:], params.carry.out_dtype)),
        ("rows", params.rows),
        ("columns", params.columns),
        params.carry.table_field,
    )
    return (KernelCall("resize_nearest_neighbor", fields),)


SPEC = OpSpec(
    "RESIZE_NEAREST_NEIGHBOR",
    Attrs,
    decode,
    infer,
    float_ref,
    prepare,
    int_ref,
    elementwise_cost,
    emit,
    output_quant=OutputQuant.SAME,
    halo=halo,
)
