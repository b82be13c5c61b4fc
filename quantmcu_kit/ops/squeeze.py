"""SQUEEZE: axes of size 1 removed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tflite

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ops import views
from quantmcu_kit.ops.spec import Inputs, Operator, OpSpec, OutputQuant, Shape


@dataclass(frozen=True)
class Attrs:
    """The axes removed, from 0."""

    axes: tuple[int, ...]


def decode(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> Attrs:
    """Attributes of a .tflite SQUEEZE; without a list of axes, all of size 1 are meant."""
    options = operator.options(tflite.SqueezeOptions)
    shape = inputs[0].shape
    if options is None or not options.SqueezeDimsLength():
        return Attrs(tuple(axis for axis, size in enumerate(shape) if size == 1))
    named = options.SqueezeDimsAsNumpy().tolist()
    return Attrs(tuple(sorted({axis + len(shape) if axis < 0 else axis for axis in named})))


def infer(attrs: Attrs, x: Tensor) -> Shape:
    """The shape without the named axes, which must exist and have size 1."""
    if any(not 0 <= axis < len(x.shape) or x.shape[axis] != 1 for axis in attrs.axes):
        raise QmkitError(
            "bad-shape",
            f"axes {list(attrs.axes)} cannot be squeezed out of the shape {list(x.shape)}",
            why="only axes of size 1 can be removed",
        )
    return tuple(size for axis, size in enumerate(x.shape) if axis not in attrs.axes)


def float_ref(attrs: Attrs, x: np.ndarray) -> np.ndarray:
    """The elements without the named axes."""
    return np.squeeze(x, attrs.axes)


def batch_stays(attrs: Attrs, x: Tensor) -> bool:
    """The first axis of a feature map is the batch and must not be squeezed out: name the axes to remove."""
    return x.is_constant or 0 not in attrs.axes


SPEC = OpSpec(
    "SQUEEZE",
    Attrs,
    decode,
    infer,
    float_ref,
    views.prepare,
    views.int_ref,
    views.cost,
    views.emit,
    constraints=(batch_stays,),
    output_quant=OutputQuant.SAME,
    is_view=True,
)
