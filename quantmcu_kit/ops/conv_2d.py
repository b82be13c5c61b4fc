"""CONV_2D: NHWC convolution, weights [out, kernel_h, kernel_w, in], per-channel requantization.

Integer semantics: TFLite ``reference/integer_ops/conv.h`` (int8) and ``reference/conv.h`` (uint8, weights with a
zero-point), padding contributes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tflite

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, Padding, Size
from quantmcu_kit.ops.geometry import decode_activation, decode_padding, output_size, pad_map, windows
from quantmcu_kit.ops.requantize import Requant
from quantmcu_kit.ops.spec import Cost, Inputs, KernelCall, Operator, OpSpec, Shape
from quantmcu_kit.ops.weighted import Weights, exact_matmul, fold_zero_points, prepare_weighted


@dataclass(frozen=True)
class Attrs:
    """Stride, dilation, explicit padding and the fused activation."""

    stride: Size
    dilation: Size
    padding: Padding
    activation: Activation


@dataclass(frozen=True, eq=False)
class Params:
    """Integer parameters: geometry, the input's zero-point, weights and requantization."""

    attrs: Attrs
    in_shape: Shape
    out_shape: Shape
    in_zero: int
    weights: Weights
    requant: Requant


def decode(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> Attrs:
    """Attributes of a .tflite CONV_2D."""
    options = operator.options(tflite.Conv2DOptions)
    x, weights = inputs[0], inputs[1]
    stride = Size(options.StrideH(), options.StrideW())
    dilation = Size(options.DilationHFactor(), options.DilationWFactor())
    kernel = Size(*weights.shape[1:3])
    padding = decode_padding(options.Padding(), Size(*x.shape[1:3]), kernel, stride, dilation)
    return Attrs(stride, dilation, padding, decode_activation(options.FusedActivationFunction()))


def infer(attrs: Attrs, x: Tensor, weights: Tensor, bias: Tensor | None = None) -> Shape:
    """[n, h, w, in] * [out, kh, kw, in] -> [n, h', w', out]."""
    size = output_size(
        Size(*x.shape[1:3]), Size(*weights.shape[1:3]), attrs.stride, attrs.dilation, attrs.padding
    )
    return (x.shape[0], size.h, size.w, weights.shape[0])


def _columns(attrs: Attrs, x: np.ndarray, kernel: Size) -> np.ndarray:
    """im2col of a float32 map whose padding is zero: [n, h', w', kh·kw·in]."""
    if kernel == Size(1, 1) and attrs.padding.is_zero:
        return x[:, :: attrs.stride.h, :: attrs.stride.w]
    view = windows(pad_map(x, attrs.padding, 0), kernel, attrs.stride, attrs.dilation)
    return view.reshape(*view.shape[:3], -1)


def float_ref(attrs: Attrs, x: np.ndarray, weights: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """float32 convolution."""
    out = _columns(attrs, x.astype(np.float32), Size(*weights.shape[1:3])) @ weights.reshape(len(weights), -1).T
    if bias is not None:
        out = out + bias
    return np.clip(out, *attrs.activation.bounds).astype(np.float32)


def prepare(attrs: Attrs, inputs: Inputs, output: Tensor) -> Params:
    """Integer parameters from quantized tensors."""
    weights, requant = prepare_weighted(inputs, output, attrs.activation, channel_axis=0)
    return Params(attrs, inputs[0].shape, output.shape, inputs[0].quant.z, weights, requant)


def int_ref(params: Params, x: np.ndarray, *_constants: np.ndarray) -> np.ndarray:
    """int8 [n, h, w, in] -> int8 [n, h', w', out], exact."""
    kernel = Size(*params.weights.values.shape[1:3])
    columns = _columns(params.attrs, x.astype(np.float32) - np.float32(params.in_zero), kernel)
    matrix = params.weights.centred().reshape(len(params.weights.values), -1)
    return params.requant.apply(exact_matmul(columns, matrix))


def cost(attrs: Attrs, inputs: Inputs, output: Tensor) -> Cost:
    """out pixels × kernel × in × out multiply-accumulates, padding counted."""
    x, weights = inputs[0], inputs[1]
    macs = output.elements * (weights.elements // weights.shape[0])
    return Cost(macs, x.elements + weights.elements, output.elements)


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_conv_2d``; a window of scratch unless every window is contiguous in the input."""
    attrs, weights = params.attrs, params.weights.values
    _, in_h, in_w, in_c = params.in_shape
    _, out_h, out_w, out_c = params.out_shape
    kernel_h, kernel_w = weights.shape[1:3]
    pointwise = (kernel_h, kernel_w) == (1, 1) and attrs.padding.is_zero
    bias = fold_zero_points(params.weights, params.requant.bias, params.in_zero, axes=(1, 2, 3))
    fields = (
        ("in", (("h", in_h), ("w", in_w), ("c", in_c))),
        ("out", (("h", out_h), ("w", out_w), ("c", out_c))),
        ("kernel", (("h", kernel_h), ("w", kernel_w))),
        ("stride", (("h", attrs.stride.h), ("w", attrs.stride.w))),
        ("dilation", (("h", attrs.dilation.h), ("w", attrs.dilation.w))),
        ("pad", (("top", attrs.padding.top), ("left", attrs.padding.left))),
        ("in_zero", params.in_zero),
        ("weight_zero", params.weights.zero_point),
        ("weights", weights),
        ("requant", params.requant.fields(bias)),
    )
    return (KernelCall("conv_2d", fields, scratch_bytes=0 if pointwise else kernel_h * kernel_w * in_c),)


def maps_are_4d(attrs: Attrs, x: Tensor, weights: Tensor, bias: Tensor | None = None) -> bool:
    """The input must be a 4-D NHWC map and the weights [out, h, w, in] constants."""
    return len(x.shape) == 4 and len(weights.shape) == 4 and weights.is_constant


def not_grouped(attrs: Attrs, x: Tensor, weights: Tensor, bias: Tensor | None = None) -> bool:
    """Grouped convolutions are not supported: the weights' input channels must equal the map's."""
    return x.shape[-1] == weights.shape[-1]


SPEC = OpSpec(
    "CONV_2D",
    Attrs,
    decode,
    infer,
    float_ref,
    prepare,
    int_ref,
    cost,
    emit,
    constraints=(maps_are_4d, not_grouped),
    weight_axis=0,
)
