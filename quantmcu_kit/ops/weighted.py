"""What CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED share: weights, effective scales, exact integer products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, DType
from quantmcu_kit.numerics.fixedpoint import quantize_multipliers
from quantmcu_kit.numerics.packing import pack, weight_rows
from quantmcu_kit.numerics.single_rounding import single_rounding_multipliers
from quantmcu_kit.ops.requantize import Requant, Rounding, check_accumulator, clamp_range, map_span
from quantmcu_kit.ops.spec import Constraint, Inputs

EXACT_FLOAT32 = 1 << 24  # every integer up to here is a float32, whatever the order of summation
MAX_TAPS = 1 << 16  # |Σ x·(w - zero_point)| <= taps · 128 · 255 < 2^31 before the bias is added
_CHUNK_BYTES = 1 << 24  # working memory of one picture chunk


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of 8, 4 or 2 bits.

    Attributes:
        values: int8, any shape, one weight in each byte.
        zero_point: 0 unless the model came from legacy uint8 or has per-tensor FULLY_CONNECTED weights with one.
        channel_axis: the axis of output channels.
        dtype: their width in the library.
        max_input: the most that |x - zero_point| of the input can be: 255, 15 or 3.
    """

    values: np.ndarray
    zero_point: int
    channel_axis: int
    dtype: DType
    max_input: int

    def _per_channel(self, values: np.ndarray) -> np.ndarray:
        """[channels, taps]: the weights that each output channel sums over."""
        return np.moveaxis(values, self.channel_axis, 0).reshape(values.shape[self.channel_axis], -1)

    @property
    def taps(self) -> int:
        """Multiply-accumulates per output value."""
        return self.values.size // self.values.shape[self.channel_axis]

    @property
    def stored(self) -> np.ndarray:
        """As the library has them: int8, the values in their shape or bytes of packed ones, [runs, bytes of a run]."""
        if not self.dtype.is_packed:
            return self.values
        runs = self.values.reshape(weight_rows(self.values.shape, self.channel_axis))
        return pack(runs, self.dtype.bits).view(np.int8)

    @cached_property
    def magnitude(self) -> np.ndarray:
        """Σ|weight − zero-point| per channel, int64."""
        centred = self._per_channel(self.values).astype(np.int16) - np.int16(self.zero_point)
        return np.abs(centred).sum(axis=1, dtype=np.int64)

    @cached_property
    def exact(self) -> np.ndarray:
        """Weights minus zero-point as floats in which any sum of products with a centred input is exact.

        float32 while Σ|w|·max_input < 2^24, else float64 (Σ|w|·max_input < 2^31).
        """
        bound = int(self.magnitude.max(initial=0)) * self.max_input
        return self.values.astype(np.float32 if bound < EXACT_FLOAT32 else np.float64) - self.zero_point

    def fold_zero_points(self, bias: np.ndarray, in_zero: int) -> np.ndarray:
        """Bias of a kernel that accumulates x·w on raw values with padding filled by the input's zero-point.

        Σ(x − zx)(w − zw) = Σx·w − zw·Σx − zx·Σ(w − zw); the term −zw·Σx stays with the kernel.
        """
        sums = self._per_channel(self.values).sum(axis=1, dtype=np.int64) - self.taps * self.zero_point
        return (bias - in_zero * sums).astype(np.int32)


def _effective_scales(inputs: Inputs, output: Tensor, rounding: Rounding) -> np.ndarray:
    """in · weight / out scale per channel, in the precision TFLite uses.

    Double products, but a float32 one for the weights of one scale whose accumulator is rounded twice
    (``PopulateConvolutionQuantizationParams`` against ``GetQuantizedConvolutionMultipler``).
    """
    in_scale, out_scale = inputs[0].quant.s, float(output.quant.s)
    quant = inputs[1].quant
    if quant.axis is None and rounding is Rounding.TWICE:
        return np.array([float(np.float32(in_scale) * np.float32(quant.s)) / out_scale])
    return float(in_scale) * quant.scale.astype(np.float64) / out_scale


def prepare_weighted(
    inputs: Inputs, output: Tensor, activation: Activation, channel_axis: int, rounding: Rounding = Rounding.TWICE
) -> tuple[Weights, Requant]:
    """Weights and requantization of a weighted op from its quantized tensors [x, weights, bias or None].

    Raises:
        QmkitError: ``accumulator-overflow``.
    """
    weight_tensor = inputs[1]
    zero_points = np.unique(weight_tensor.quant.zero_point)
    assert zero_points.size == 1, "per-channel weight zero-points are refused at import"
    max_input = map_span(inputs[0].dtype)
    weights = Weights(weight_tensor.data, int(zero_points[0]), channel_axis, weight_tensor.dtype, max_input)
    bias_tensor = inputs[2] if len(inputs) > 2 else None
    channels = weight_tensor.shape[channel_axis]
    bias = np.zeros(channels, np.int32) if bias_tensor is None else bias_tensor.data.reshape(-1)
    if weights.taps >= MAX_TAPS:
        raise QmkitError(
            "accumulator-overflow",
            f"each value of {output.name!r} sums {weights.taps:,} products",
            why=f"32-bit accumulators take fewer than {MAX_TAPS:,} products of 8-bit values",
        )
    bound = np.abs(bias.astype(np.int64)) + max_input * weights.magnitude
    scales = _effective_scales(inputs, output, rounding)
    if rounding is Rounding.ONCE:
        check_accumulator(bound, np.zeros(1, np.int8), output)
        multiplier, shift = single_rounding_multipliers(scales, bound if scales.size > 1 else bound.max(keepdims=True))
    else:
        multiplier, shift = quantize_multipliers(scales)
        check_accumulator(bound, shift, output)
    low, high = clamp_range(activation, output.quant, output.dtype)
    requant = Requant(bias, multiplier, shift, output.quant.z, low, high, rounding, output.dtype)
    return weights, requant.with_constants(weights.magnitude == 0)


def bias_fits(channel_axis: int) -> Constraint:
    """The constraint on the bias of an operator whose weights have their output channels along ``channel_axis``."""

    def bias_is_constant(attrs: Any, x: Tensor, weights: Tensor, bias: Tensor | None = None) -> bool:
        """The bias must be a constant with one value for each output channel."""
        return bias is None or (bias.is_constant and bias.elements == weights.shape[channel_axis])

    return bias_is_constant


def in_chunks(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, bytes_per_picture: int) -> np.ndarray:
    """``function`` of a batch x [n, ...], as many pictures at a time as ``_CHUNK_BYTES`` of working memory allow."""
    count = max(1, _CHUNK_BYTES // max(1, bytes_per_picture))
    if len(x) <= count:
        return function(x)
    return np.concatenate([function(x[start : start + count]) for start in range(0, len(x), count)])
