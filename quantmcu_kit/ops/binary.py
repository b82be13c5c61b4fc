"""What ADD, SUB and MUL share: two operands of one shape, or one of them a scalar or one value per channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, DType
from quantmcu_kit.ops import lookup
from quantmcu_kit.ops.geometry import decode_activation
from quantmcu_kit.ops.spec import Inputs, KernelCall, Operator, Shape


@dataclass(frozen=True)
class Attrs:
    """The fused activation."""

    activation: Activation


@dataclass(frozen=True)
class Layout:
    """The output as rows × columns elements; an operand moves on by its stride per row (0: it is used again).

    Attributes:
        channels: values of a pixel.
        dtypes: of the operands and the output.
        bits: in which the C holds them; constants lie in whole bytes.
    """

    rows: int
    columns: int
    a_stride: int
    b_stride: int
    channels: int
    dtypes: tuple[DType, DType, DType]
    bits: tuple[int, int, int]

    @property
    def fields(self) -> tuple[tuple[str, int], ...]:
        """The C struct ``qmcu_walk_t``."""
        return (
            ("rows", self.rows),
            ("columns", self.columns),
            ("a_stride", self.a_stride),
            ("b_stride", self.b_stride),
            ("channels", self.channels),
            *zip(("a_bits", "b_bits", "out_bits"), self.bits, strict=True),
        )


@dataclass(frozen=True)
class Scalar:
    """A constant operand of one element: its position among the inputs and its value."""

    position: int
    value: int


def decoder(options_table: type) -> Callable[[Operator, Inputs, tuple[Tensor, ...]], Attrs]:
    """``decode`` of an operator whose options are ``options_table``."""

    def decode(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> Attrs:
        """Attributes of the .tflite operator."""
        return Attrs(decode_activation(operator.options(options_table).FusedActivationFunction()))

    return decode


def infer(attrs: Attrs, a: Tensor, b: Tensor) -> Shape:
    """The shape that both operands broadcast to."""
    try:
        return np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise QmkitError(
            "bad-shape",
            f"operands of shapes {list(a.shape)} and {list(b.shape)} do not fit together",
            why="an axis must have the same size in both operands, or size 1 in one of them",
        ) from None


def clamped(attrs: Attrs, result: np.ndarray) -> np.ndarray:
    """float32 ``result`` after the fused activation."""
    return np.clip(result, *attrs.activation.bounds).astype(np.float32)


def layout(inputs: Inputs, output: Tensor) -> Layout:
    """How a kernel walks over operands that satisfy :func:`broadcast_is_simple`."""
    a, b = inputs
    smaller = min(a.elements, b.elements)
    dtypes = (a.dtype, b.dtype, output.dtype)
    bits = tuple(8 if tensor.is_constant else tensor.dtype.bits for tensor in (a, b, output))
    maps = (output.shape[-1], dtypes, bits)
    if smaller == output.elements:
        return Layout(1, smaller, 0, 0, *maps)
    strides = (0 if operand.elements == smaller else smaller for operand in (a, b))
    return Layout(output.elements // smaller, smaller, *strides, *maps)


def constant_scalar(inputs: Inputs) -> Scalar | None:
    """The operand that turns the operator into a function of one value, if there is one."""
    for position, operand in enumerate(inputs):
        if operand.is_constant and operand.elements == 1:
            return Scalar(position, int(operand.data.reshape(())))
    return None


def kernel_calls(
    kernel: str, int_ref: Callable[..., np.ndarray], params: Any, scaling: tuple[tuple[str, Any], ...]
) -> tuple[KernelCall, ...]:
    """One ``qmcu_<kernel>``, or a table of ``int_ref``'s results where one operand is a constant scalar.

    Args:
        params: the operator's parameters, with ``layout`` and ``scalar``.
        scaling: the C struct ``qmcu_<kernel>_scaling_t``.
    """
    scalar, walk = params.scalar, params.layout
    if scalar is None:
        return (KernelCall(kernel, (("walk", walk.fields), ("scaling", scaling)), (0, 1)),)
    argument = 1 - scalar.position
    in_dtype, constant_dtype = walk.dtypes[argument], walk.dtypes[scalar.position]
    value, values = constant_dtype.numpy.type(scalar.value), lookup.inputs_of(in_dtype)
    table = int_ref(params, *((value, values) if scalar.position == 0 else (values, value)))
    by_value = lookup.Params(table, walk.rows * walk.columns, walk.channels, in_dtype, walk.dtypes[-1])
    return (lookup.table_call(by_value, argument),)


def broadcast_is_simple(attrs: Attrs, a: Tensor, b: Tensor) -> bool:
    """The operands must have one shape, or one of them must be a scalar or hold one value per channel (last axis)."""
    shape = infer(attrs, a, b)
    elements = int(np.prod(shape, dtype=np.int64))
    if elements not in (a.elements, b.elements):
        return False
    smaller = min((a, b), key=lambda operand: operand.elements)
    return smaller.elements in (1, elements) or smaller.elements == smaller.shape[-1] == shape[-1]


def computed_operands_have_equal_rank(attrs: Attrs, a: Tensor, b: Tensor) -> bool:
    """Two operands that are computed at run time must have the same number of axes."""
    return a.is_constant or b.is_constant or len(a.shape) == len(b.shape)


CONSTRAINTS = (broadcast_is_simple, computed_operands_have_equal_rank)
