"""STRIDED_SLICE: begin:end:stride along each axis. Supported for shapes and other constants, sliced at build time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tflite

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ops.spec import Inputs, Operator, OpSpec, Shape


@dataclass(frozen=True)
class Attrs:
    """Bit masks over the axes: where begin or end is left open, and which axes become a single index and vanish."""

    begin_mask: int
    end_mask: int
    shrink_axis_mask: int


def decode(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> Attrs:
    """Attributes of a .tflite STRIDED_SLICE; raises ``unsupported-op`` for an ellipsis, new axes or relative ends."""
    options = operator.options(tflite.StridedSliceOptions)
    if options.EllipsisMask() or options.NewAxisMask() or options.Offset():
        raise QmkitError(
            "unsupported-op",
            f"STRIDED_SLICE to {outputs[0].name!r} uses an ellipsis, a new axis or an end relative to its begin",
            why="slices are computed at build time, with plain begin, end and stride per axis",
            hint="write the slice out axis by axis before exporting",
        )
    return Attrs(options.BeginMask(), options.EndMask(), options.ShrinkAxisMask())


def _slices(
    attrs: Attrs, rank: int, begin: np.ndarray, end: np.ndarray, strides: np.ndarray
) -> tuple[slice | int, ...]:
    bounds = list(zip(begin.tolist(), end.tolist(), strides.tolist(), strict=True))
    if len(bounds) > rank or any(stride == 0 for _, _, stride in bounds):
        raise QmkitError(
            "bad-shape",
            f"{len(bounds)} slices with strides {strides.tolist()} do not fit a tensor with {rank} axes",
            why="there is at most one slice per axis, and strides are not zero",
        )

    def along(axis: int, first: int, last: int, stride: int) -> slice | int:
        bit = 1 << axis
        if attrs.shrink_axis_mask & bit:
            return 0 if attrs.begin_mask & bit else first
        return slice(None if attrs.begin_mask & bit else first, None if attrs.end_mask & bit else last, stride)

    return tuple(along(axis, *bound) for axis, bound in enumerate(bounds))


def infer(attrs: Attrs, x: Tensor, begin: Tensor, end: Tensor, strides: Tensor) -> Shape:
    """Shape of the slice; raises ``unsupported-op`` for computed bounds, ``bad-shape`` for ones outside the tensor."""
    if not (begin.is_constant and end.is_constant and strides.is_constant):
        raise QmkitError(
            "unsupported-op",
            f"the bounds of a STRIDED_SLICE of {x.name!r} are computed at run time",
            why="slices are computed at build time",
            hint="export with a fixed input shape",
        )
    outline = np.broadcast_to(np.int8(0), x.shape)  # takes no memory, whatever the shape
    try:
        return outline[_slices(attrs, len(x.shape), begin.data, end.data, strides.data)].shape
    except IndexError as error:
        raise QmkitError("bad-shape", f"a STRIDED_SLICE of {x.name!r} begins outside it", why=str(error)) from None


def float_ref(attrs: Attrs, x: np.ndarray, begin: np.ndarray, end: np.ndarray, strides: np.ndarray) -> np.ndarray:
    """The slice, of the input's element type."""
    return x[_slices(attrs, x.ndim, begin, end, strides)]


SPEC = OpSpec("STRIDED_SLICE", Attrs, decode, infer, float_ref)
