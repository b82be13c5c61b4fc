"""What CONV_2D and DEPTHWISE_CONV_2D share: attributes, integer parameters, the C struct's fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.region import Region
from quantmcu_kit.ir.types import Activation, DType, Padding, Size
from quantmcu_kit.ops import halo as halos
from quantmcu_kit.ops.geometry import decode_activation, decode_padding, map_fields, output_size
from quantmcu_kit.ops.requantize import Requant
from quantmcu_kit.ops.spec import Inputs, Shape
from quantmcu_kit.ops.weighted import Weights, prepare_weighted


@dataclass(frozen=True)
class Attrs:
    """Stride, dilation, explicit padding and the fused activation."""

    stride: Size
    dilation: Size
    padding: Padding
    activation: Activation


@dataclass(frozen=True, eq=False)
class Params:
    """Integer parameters: geometry, the input's width and zero-point, weights and requantization."""

    attrs: Attrs
    in_shape: Shape
    out_shape: Shape
    in_dtype: DType
    in_zero: int
    weights: Weights
    requant: Requant

    @property
    def kernel(self) -> Size:
        """Height and width of the window; weights are [_, h, w, _]."""
        return Size(*self.weights.values.shape[1:3])

    @property
    def out_size(self) -> Size:
        """Height and width of the output."""
        return Size(*self.out_shape[1:3])

    def fields(self) -> tuple[tuple[str, Any], ...]:
        """Fields that ``qmcu_conv_2d_t`` and ``qmcu_depthwise_conv_2d_t`` begin with."""
        attrs, weights = self.attrs, self.weights
        return (
            ("in", map_fields(self.in_shape[1:], self.in_dtype)),
            ("out", map_fields(self.out_shape[1:], self.requant.dtype)),
            ("kernel", (("h", self.kernel.h), ("w", self.kernel.w))),
            ("stride", (("h", attrs.stride.h), ("w", attrs.stride.w))),
            ("dilation", (("h", attrs.dilation.h), ("w", attrs.dilation.w))),
            ("pad", (("top", attrs.padding.top), ("left", attrs.padding.left))),
            ("in_zero", self.in_zero),
            ("weight_zero", weights.zero_point),
            ("weight_bits", weights.dtype.bits),
            ("weights", weights.stored),
            ("requant", self.requant.fields(weights.fold_zero_points(self.requant.bias, self.in_zero))),
        )


def decode(options: Any, inputs: Inputs) -> Attrs:
    """Attributes from ``Conv2DOptions`` or ``DepthwiseConv2DOptions``, whose fields have the same names."""
    x, weights = inputs[0], inputs[1]
    stride = Size(options.StrideH(), options.StrideW())
    dilation = Size(options.DilationHFactor(), options.DilationWFactor())
    kernel = Size(*weights.shape[1:3])
    padding = decode_padding(options.Padding(), Size(*x.shape[1:3]), kernel, stride, dilation)
    return Attrs(stride, dilation, padding, decode_activation(options.FusedActivationFunction()))


def infer(attrs: Attrs, x: Tensor, weights: Tensor, channels: int) -> Shape:
    """[n, h', w', channels] for an input [n, h, w, in] and weights [_, kh, kw, _]; raises ``bad-shape``."""
    kernel = Size(*weights.shape[1:3])
    size = output_size(Size(*x.shape[1:3]), kernel, attrs.stride, attrs.dilation, attrs.padding)
    return (x.shape[0], size.h, size.w, channels)


def halo(attrs: Attrs, inputs: Inputs, output: Tensor, region: Region) -> halos.Regions:
    """The windows of the region's pixels; weights are [_, kh, kw, _]."""
    kernel = Size(*inputs[1].shape[1:3])
    seen = halos.window(region, kernel, attrs.stride, attrs.dilation, attrs.padding)
    return halos.first_only(seen, inputs)


def prepare(attrs: Attrs, inputs: Inputs, output: Tensor, channel_axis: int) -> Params:
    """Integer parameters from quantized tensors; ``channel_axis`` is the weights' axis of output channels."""
    weights, requant = prepare_weighted(inputs, output, attrs.activation, channel_axis)
    x = inputs[0]
    return Params(attrs, x.shape, output.shape, x.dtype, x.quant.z, weights, requant)
