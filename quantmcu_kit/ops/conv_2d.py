"""CONV_2D: NHWC convolution, weights [out, kernel_h, kernel_w, in], per-channel requantization.

Integer semantics: TFLite ``reference/integer_ops/conv.h`` (int8) and ``reference/conv.h`` (uint8, weights with a
zero-point); padding contributes nothing.
"""

from __future__ import annotations

import numpy as np
import tflite

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Size
from quantmcu_kit.ops import convolution, linear
from quantmcu_kit.ops.convolution import Attrs, Params
from quantmcu_kit.ops.geometry import pad_map, windows
from quantmcu_kit.ops.spec import Cost, Inputs, KernelCall, Operator, OpSpec, Shape
from quantmcu_kit.ops.weighted import bias_fits, in_chunks


def decode(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> Attrs:
    """Attributes of a .tflite CONV_2D."""
    return convolution.decode(operator.options(tflite.Conv2DOptions), inputs)


def infer(attrs: Attrs, x: Tensor, weights: Tensor, bias: Tensor | None = None) -> Shape:
    """[n, h, w, in] * [out, kh, kw, in] -> [n, h', w', out]."""
    return convolution.infer(attrs, x, weights, weights.shape[0])


def _is_pointwise(attrs: Attrs, kernel: Size) -> bool:
    """Whether every window is one pixel of the input."""
    return kernel == Size(1, 1) and attrs.padding.is_zero


def _columns(attrs: Attrs, x: np.ndarray, kernel: Size) -> np.ndarray:
    """im2col of a float map whose padding is zero: [n, h', w', kh·kw·in]."""
    if _is_pointwise(attrs, kernel):
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
    return convolution.prepare(attrs, inputs, output, channel_axis=0)


def int_ref(params: Params, x: np.ndarray, *_constants: np.ndarray) -> np.ndarray:
    """A map [n, h, w, in] -> [n, h', w', out], exact."""
    exact = params.weights.exact
    matrix = exact.reshape(len(exact), -1)
    channels, taps = matrix.shape

    def convolve(pictures: np.ndarray) -> np.ndarray:
        centred = pictures.astype(exact.dtype)
        centred -= params.in_zero
        columns = _columns(params.attrs, centred, params.kernel)
        products = columns.reshape(-1, taps) @ matrix.T
        return params.requant.apply(products).reshape(*columns.shape[:3], channels)

    pixels = params.out_size.h * params.out_size.w
    return in_chunks(convolve, x, pixels * (taps + channels) * exact.itemsize)


def cost(attrs: Attrs, inputs: Inputs, output: Tensor) -> Cost:
    """out pixels × kernel × in × out multiply-accumulates, padding counted."""
    x, weights = inputs[0], inputs[1]
    macs = output.elements * (weights.elements // weights.shape[0])
    return Cost(macs, x.bytes + weights.bytes, output.bytes)


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_conv_2d``; a window of scratch unless every window lies in the input as it is: a pixel of 8 bits."""
    lies_in_input = _is_pointwise(params.attrs, params.kernel) and not params.in_dtype.is_packed
    scratch = 0 if lies_in_input else params.weights.taps
    return (KernelCall("conv_2d", params.fields(), scratch_bytes=scratch),)


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
    constraints=(maps_are_4d, not_grouped, bias_fits(0)),
    weight_axis=0,
    writes_apart=True,
    halo=convolution.halo,
    linear=linear.CONV,
)
