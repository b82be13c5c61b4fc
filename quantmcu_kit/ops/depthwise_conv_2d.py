"""DEPTHWISE_CONV_2D: each input channel convolved alone, weights [1, kernel_h, kernel_w, in · multiplier].

Output channel ``i·multiplier + m`` belongs to input channel ``i``. Integer semantics: TFLite
``reference/integer_ops/depthwise_conv.h`` (int8) and ``reference/depthwiseconv_uint8.h`` (uint8, weights with a
zero-point); padding contributes nothing.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tflite

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Size
from quantmcu_kit.ops import conv_2d, convolution, linear
from quantmcu_kit.ops.convolution import Attrs, Params
from quantmcu_kit.ops.geometry import output_size, pad_map
from quantmcu_kit.ops.spec import Cost, Inputs, KernelCall, Operator, OpSpec, Shape
from quantmcu_kit.ops.weighted import bias_fits, in_chunks

_STRIP_CHANNELS = 32  # STRIP_CHANNELS of depthwise_conv_2d.c
_STRIP_BYTES = 1024  # of unpacked input, unless one window takes more
_BAND = 1 << 16  # output values accumulated at a time: sums and products stay within the L2 cache


def decode(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> Attrs:
    """Attributes of a .tflite DEPTHWISE_CONV_2D; the shapes tell the multiplier, ``depth_multiplier`` is not read."""
    return convolution.decode(operator.options(tflite.DepthwiseConv2DOptions), inputs)


def infer(attrs: Attrs, x: Tensor, weights: Tensor, bias: Tensor | None = None) -> Shape:
    """[n, h, w, in] * [1, kh, kw, in·multiplier] -> [n, h', w', in·multiplier]."""
    return convolution.infer(attrs, x, weights, weights.shape[3])


def _accumulate(attrs: Attrs, padded: np.ndarray, weights: np.ndarray, out: Size) -> np.ndarray:
    """Σ over kernel taps of shifted maps times weights: [n, out.h, out.w, in·multiplier], dtype of ``weights``.

    Args:
        padded: [n, h, w, in] with its padding.
        weights: [kh, kw, in, multiplier].
    """
    kernel_h, kernel_w, channels, multiplier = weights.shape
    n, step = len(padded), attrs.stride
    sums = np.zeros((n, out.h, out.w, channels, multiplier), weights.dtype)
    rows = min(out.h, max(1, _BAND // (n * out.w * channels * multiplier)))
    product = np.empty((n, rows, out.w, channels, multiplier), weights.dtype)
    for top in range(0, out.h, rows):
        band = sums[:, top : top + rows]
        scratch = product[:, : band.shape[1]]
        for ky, kx in np.ndindex(kernel_h, kernel_w):
            y, x = top * step.h + ky * attrs.dilation.h, kx * attrs.dilation.w
            y_end, x_end = y + (band.shape[1] - 1) * step.h + 1, x + (out.w - 1) * step.w + 1
            np.multiply(padded[:, y : y_end : step.h, x : x_end : step.w, :, None], weights[ky, kx], out=scratch)
            band += scratch
    return sums.reshape(n, out.h, out.w, -1)


def float_ref(attrs: Attrs, x: np.ndarray, weights: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """float32 depthwise convolution."""
    kernel = Size(*weights.shape[1:3])
    out = output_size(Size(*x.shape[1:3]), kernel, attrs.stride, attrs.dilation, attrs.padding)
    taps = weights.astype(np.float32).reshape(kernel.h, kernel.w, x.shape[3], -1)
    sums = _accumulate(attrs, pad_map(x.astype(np.float32), attrs.padding, 0), taps, out)
    if bias is not None:
        sums = sums + bias
    return np.clip(sums, *attrs.activation.bounds).astype(np.float32)


def prepare(attrs: Attrs, inputs: Inputs, output: Tensor) -> Params:
    """Integer parameters from quantized tensors."""
    return convolution.prepare(attrs, inputs, output, channel_axis=3)


def int_ref(params: Params, x: np.ndarray, *_constants: np.ndarray) -> np.ndarray:
    """A map [n, h, w, in] -> [n, h', w', in·multiplier], exact."""
    exact = params.weights.exact
    taps = exact.reshape(params.kernel.h, params.kernel.w, params.in_shape[3], -1)

    def convolve(pictures: np.ndarray) -> np.ndarray:
        centred = pictures.astype(exact.dtype)
        centred -= params.in_zero
        padded = pad_map(centred, params.attrs.padding, 0)
        return params.requant.apply(_accumulate(params.attrs, padded, taps, params.out_size))

    values = 2 * int(np.prod(params.in_shape)) + int(np.prod(params.out_shape))
    return in_chunks(convolve, x, values * exact.itemsize)


def cost(attrs: Attrs, inputs: Inputs, output: Tensor) -> Cost:
    """out values × kernel multiply-accumulates, padding counted."""
    x, weights = inputs[0], inputs[1]
    return Cost(output.elements * weights.shape[1] * weights.shape[2], x.bytes + weights.bytes, output.bytes)


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_depthwise_conv_2d``; with a single input channel it is an ordinary convolution, and faster as one."""
    in_channels, out_channels = params.in_shape[3], params.out_shape[3]
    if in_channels == 1:
        return conv_2d.emit(_as_convolution(params))
    strip, scratch = _strip(params)
    fields = (*params.fields(), ("strip", strip), ("multiplier", out_channels // in_channels))
    return (KernelCall("depthwise_conv_2d", fields, scratch_bytes=scratch),)


def _strip(params: Params) -> tuple[int, int]:
    """Output columns computed together, and bytes of scratch, where the input or the weights are packed; else 0, 0.

    Scratch holds a block of channels, unpacked: of all weights, and of the rows and columns that the strip's windows
    see.
    """
    is_packed = params.weights.dtype.is_packed
    if not is_packed and not params.in_dtype.is_packed:
        return 0, 0
    kernel, stride, dilation = params.kernel, params.attrs.stride, params.attrs.dilation
    block = min(params.out_shape[3], _STRIP_CHANNELS)
    height, width = (kernel.h - 1) * dilation.h + 1, (kernel.w - 1) * dilation.w + 1
    more = max(_STRIP_BYTES // (height * block) - width, 0) // stride.w  # than one output column
    strip = min(more + 1, params.out_size.w, 255)
    values = height * ((strip - 1) * stride.w + width)
    return strip, (values + (kernel.h * kernel.w if is_packed else 0)) * block


def _as_convolution(params: Params) -> Params:
    """The same computation as CONV_2D: weights [1, kh, kw, out] become [out, kh, kw, 1]."""
    values = np.ascontiguousarray(params.weights.values.transpose(3, 1, 2, 0))
    weights = dataclasses.replace(params.weights, values=values, channel_axis=0)
    return dataclasses.replace(params, weights=weights)


def maps_are_4d(attrs: Attrs, x: Tensor, weights: Tensor, bias: Tensor | None = None) -> bool:
    """The input must be a 4-D NHWC map and the weights [1, h, w, out] constants."""
    return len(x.shape) == 4 and len(weights.shape) == 4 and weights.shape[0] == 1 and weights.is_constant


def channels_divide(attrs: Attrs, x: Tensor, weights: Tensor, bias: Tensor | None = None) -> bool:
    """The output channels must be a multiple of the input channels."""
    return x.shape[3] > 0 and weights.shape[3] % x.shape[3] == 0


SPEC = OpSpec(
    "DEPTHWISE_CONV_2D",
    Attrs,
    decode,
    infer,
    float_ref,
    prepare,
    int_ref,
    cost,
    emit,
    constraints=(maps_are_4d, channels_divide, bias_fits(3)),
    weight_axis=3,
    writes_apart=True,
    halo=convolution.halo,
    linear=linear.DEPTHWISE,
)
