"""PACK: tensors stacked along a new axis. Supported for shapes and other constants, which are stacked at build time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tflite

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ops.spec import Inputs, Operator, OpSpec, Shape


@dataclass(frozen=True)
class Attrs:
    """The new axis, from 0."""

    axis: int


def decode(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> Attrs:
    """Attributes of a .tflite PACK."""
    axis = operator.options(tflite.PackOptions).Axis()
    return Attrs(axis + len(inputs[0].shape) + 1 if axis < 0 else axis)


def infer(attrs: Attrs, *inputs: Tensor) -> Shape:
    """The inputs' common shape with their number inserted."""
    shape = inputs[0].shape
    if any(x.shape != shape for x in inputs) or not 0 <= attrs.axis <= len(shape):
        raise QmkitError(
            "bad-shape",
            f"shapes {', '.join(str(list(x.shape)) for x in inputs)} cannot be packed along axis {attrs.axis}",
            why="all inputs must have the same shape",
        )
    return (*shape[: attrs.axis], len(inputs), *shape[attrs.axis :])


def float_ref(attrs: Attrs, *inputs: np.ndarray) -> np.ndarray:
    """The stacked array, of the inputs' element type."""
    return np.stack(inputs, attrs.axis)


SPEC = OpSpec("PACK", Attrs, decode, infer, float_ref)
