"""RESHAPE: the same elements in the same order under another shape."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import tflite

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ops import views
from quantmcu_kit.ops.spec import Inputs, Operator, OpSpec, OutputQuant, Shape


@dataclass(frozen=True)
class Attrs:
    """The new shape, all axes known."""

    shape: Shape


def decode(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> Attrs:
    """Attributes of a .tflite RESHAPE: the shape operand counts, then the options, then the declared output."""
    options = operator.options(tflite.ReshapeOptions)
    operand = inputs[1] if len(inputs) > 1 else None
    if operand is not None and operand.is_constant:
        wanted = operand.data.reshape(-1).tolist()
    elif operand is None and options is not None and options.NewShapeLength():
        wanted = options.NewShapeAsNumpy().tolist()
    else:
        wanted = outputs[0].shape
    return Attrs(_resolve(tuple(wanted), inputs[0].elements))


def _resolve(shape: Shape, elements: int) -> Shape:
    """``shape`` with -1 replaced by what is left of ``elements``."""
    known = math.prod(size for size in shape if size != -1)
    if shape.count(-1) != 1 or known <= 0:
        return shape
    return tuple(elements // known if size == -1 else size for size in shape)


def infer(attrs: Attrs, x: Tensor, shape: Tensor | None = None) -> Shape:
    """The new shape; it must hold as many elements as the input."""
    if any(size < 0 for size in attrs.shape) or math.prod(attrs.shape) != x.elements:
        raise QmkitError(
            "bad-shape",
            f"a tensor of shape {list(x.shape)} cannot be reshaped to {list(attrs.shape)}",
            why="both shapes must hold the same number of elements",
        )
    return attrs.shape


def float_ref(attrs: Attrs, x: np.ndarray, shape: np.ndarray | None = None) -> np.ndarray:
    """The elements under the new shape."""
    return views.with_shape(x, attrs.shape)


def batch_stays(attrs: Attrs, x: Tensor, shape: Tensor | None = None) -> bool:
    """The first axis of a reshaped feature map must be the batch, of size 1."""
    return x.is_constant or attrs.shape[:1] == (1,)


SPEC = OpSpec(
    "RESHAPE",
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
