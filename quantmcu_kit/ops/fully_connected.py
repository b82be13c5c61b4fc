"""FULLY_CONNECTED: rows of the flattened input times weights [out, in].

Integer semantics: TFLite ``reference/integer_ops/fully_connected.h`` (int8) and ``reference/fully_connected.h`` (uint8)
as of LiteRT: the accumulator is scaled in double precision and rounded once, halves away from zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tflite

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, DType
from quantmcu_kit.ops import linear
from quantmcu_kit.ops.geometry import decode_activation
from quantmcu_kit.ops.requantize import Requant, Rounding
from quantmcu_kit.ops.spec import Cost, Inputs, KernelCall, Operator, OpSpec, Shape
from quantmcu_kit.ops.weighted import Weights, bias_fits, prepare_weighted


@dataclass(frozen=True)
class Attrs:
    """Whether the leading axes survive (else the output is [rows, out]), and the fused activation."""

    keep_num_dims: bool
    activation: Activation


@dataclass(frozen=True, eq=False)
class Params:
    """Integer parameters: rows, shapes, the input's width and zero-point, weights and requantization."""

    rows: int
    in_shape: Shape
    out_shape: Shape
    in_dtype: DType
    in_zero: int
    weights: Weights
    requant: Requant


def decode(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> Attrs:
    """Attributes of a .tflite FULLY_CONNECTED."""
    options = operator.options(tflite.FullyConnectedOptions)
    if options.WeightsFormat() != tflite.FullyConnectedOptionsWeightsFormat.DEFAULT:
        raise QmkitError(
            "unsupported-op",
            "FULLY_CONNECTED has shuffled weights",
            why="the 4x16 shuffled weight format is a cache of one processor family",
            hint="export with weights in the default format",
        )
    return Attrs(options.KeepNumDims(), decode_activation(options.FusedActivationFunction()))


def infer(attrs: Attrs, x: Tensor, weights: Tensor, bias: Tensor | None = None) -> Shape:
    """[..., in] -> [..., out] with ``keep_num_dims``, else [elements / in, out]."""
    out, taps = weights.shape
    rows = x.elements // taps if taps else 0
    if rows * taps != x.elements or (attrs.keep_num_dims and x.shape[-1:] != (taps,)):
        raise QmkitError(
            "bad-shape",
            f"an input of shape {list(x.shape)} does not fit weights {list(weights.shape)}",
            why="the input must consist of whole rows of the weights' second dimension",
        )
    return (*x.shape[:-1], out) if attrs.keep_num_dims else (rows, out)


def _shaped(attrs: Attrs, x: np.ndarray, result: np.ndarray) -> np.ndarray:
    return result.reshape(*x.shape[:-1], -1) if attrs.keep_num_dims else result


def float_ref(attrs: Attrs, x: np.ndarray, weights: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """float32 product."""
    out = x.astype(np.float32).reshape(-1, weights.shape[1]) @ weights.T
    if bias is not None:
        out = out + bias
    return _shaped(attrs, x, np.clip(out, *attrs.activation.bounds).astype(np.float32))


def prepare(attrs: Attrs, inputs: Inputs, output: Tensor) -> Params:
    """Integer parameters from quantized tensors."""
    weights, requant = prepare_weighted(inputs, output, attrs.activation, channel_axis=0, rounding=Rounding.ONCE)
    rows = output.elements // weights.values.shape[0]
    x = inputs[0]
    return Params(rows, x.shape, output.shape, x.dtype, x.quant.z, weights, requant)


def int_ref(params: Params, x: np.ndarray, *_constants: np.ndarray) -> np.ndarray:
    """A map [n, ...] -> the output's shape with n·rows rows, exact."""
    exact = params.weights.exact
    centred = x.reshape(-1, exact.shape[1]).astype(exact.dtype)
    centred -= params.in_zero
    result = params.requant.apply(centred @ exact.T)
    return result.reshape(-1, *params.out_shape[1:])


def cost(attrs: Attrs, inputs: Inputs, output: Tensor) -> Cost:
    """rows × in × out multiply-accumulates."""
    x, weights = inputs[0], inputs[1]
    return Cost(output.elements * weights.shape[1], x.bytes + weights.bytes, output.bytes)


def sums(attrs: Attrs, inputs: Inputs, output: Tensor) -> int:
    """One per output, and that of the inputs, where all of the input is one row."""
    out, taps = inputs[1].shape
    return out + 1 if inputs[0].elements == taps else 0


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_fully_connected``."""
    weights = params.weights
    assert weights.zero_point == 0 or not params.in_dtype.is_packed, "the kernel sums inputs of 8 bits only"
    out, taps = weights.values.shape
    fields = (
        ("rows", params.rows),
        ("in", taps),
        ("out", out),
        ("channels", params.in_shape[-1]),
        ("in_bits", params.in_dtype.bits),
        ("out_bits", params.requant.dtype.bits),
        ("weight_bits", weights.dtype.bits),
        ("weight_zero", weights.zero_point),
        ("weights", weights.stored),
        ("requant", params.requant.fields(weights.fold_zero_points(params.requant.bias, params.in_zero))),
    )
    return (KernelCall("fully_connected", fields),)


def weights_are_a_constant_matrix(attrs: Attrs, x: Tensor, weights: Tensor, bias: Tensor | None = None) -> bool:
    """The weights must be a constant [out, in] matrix."""
    return len(weights.shape) == 2 and weights.is_constant


SPEC = OpSpec(
    "FULLY_CONNECTED",
    Attrs,
    decode,
    infer,
    float_ref,
    prepare,
    int_ref,
    cost,
    emit,
    constraints=(weights_are_a_constant_matrix, bias_fits(0)),
    weight_axis=0,
    sums=sums,
    linear=linear.DENSE,
)
