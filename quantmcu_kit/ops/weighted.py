"""What CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED share: weights, effective scales, exact integer products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation
from quantmcu_kit.numerics.fixedpoint import quantize_multipliers
from quantmcu_kit.ops.requantize import Requant, check_accumulator, clamp_range
from quantmcu_kit.ops.spec import Inputs

EXACT_FLOAT32 = 1 << 24  # every integer up to here is a float32, whatever the order of summation
MAX_CENTRED_INPUT = 255  # |x - zero_point| of an int8 map


@dataclass(frozen=True, eq=False)
class Weights:
    """int8 weights and their zero-point (0 unless the model came from legacy uint8)."""

    values: np.ndarray
    zero_point: int

    def centred(self) -> np.ndarray:
        """Weights minus zero-point, int32."""
        return self.values.astype(np.int32) - self.zero_point


def effective_scales(x: Tensor, weights: Tensor, output: Tensor) -> np.ndarray:
    """in · weight / out scale per channel, in the precision TFLite uses.

    Per-channel weights multiply in double; a per-tensor weight scale multiplies in float32 first
    (``PopulateConvolutionQuantizationParams`` against ``GetQuantizedConvolutionMultipler``).
    """
    in_scale, out_scale = np.float32(x.quant.s), float(output.quant.s)
    if weights.quant.axis is None:
        return np.array([float(in_scale * np.float32(weights.quant.s)) / out_scale])
    return float(in_scale) * weights.quant.scale.astype(np.float64) / out_scale


def prepare_weighted(
    inputs: Inputs, output: Tensor, activation: Activation, channel_axis: int
) -> tuple[Weights, Requant]:
    """Weights and requantization of a weighted op from its quantized tensors [x, weights, bias or None]."""
    x, weights = inputs[0], inputs[1]
    channels = weights.shape[channel_axis]
    bias_tensor = inputs[2] if len(inputs) > 2 else None
    bias = np.zeros(channels, np.int32) if bias_tensor is None else bias_tensor.data.reshape(-1)
    zero_points = np.unique(weights.quant.zero_point)
    assert zero_points.size == 1, "per-channel weight zero-points are refused at import"
    multiplier, shift = quantize_multipliers(effective_scales(x, weights, output))
    low, high = clamp_range(activation, output.quant)
    packed = Weights(weights.data, int(zero_points[0]))
    other_axes = tuple(axis for axis in range(weights.data.ndim) if axis != channel_axis)
    magnitude = np.abs(packed.centred()).sum(axis=other_axes, dtype=np.int64)
    check_accumulator(np.abs(bias.astype(np.int64)) + MAX_CENTRED_INPUT * magnitude, shift, output)
    return packed, Requant(bias, multiplier, shift, output.quant.z, low, high)


def exact_matmul(columns: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """columns [..., k] · matrixᵀ with matrix int32 [out, k]: an integer-valued float array, exact.

    A float32 GEMM is exact while Σ|w|·255 < 2^24, a float64 GEMM beyond (Σ|w|·255 < 2^31).
    """
    bound = int(np.abs(matrix).sum(axis=-1, dtype=np.int64).max(initial=0)) * MAX_CENTRED_INPUT
    dtype = np.float32 if bound < EXACT_FLOAT32 else np.float64
    flat = np.ascontiguousarray(columns.reshape(-1, columns.shape[-1]), dtype)
    return (flat @ matrix.T.astype(dtype)).reshape(*columns.shape[:-1], len(matrix))


def fold_zero_points(weights: Weights, bias: np.ndarray, in_zero: int, axes: tuple[int, ...]) -> np.ndarray:
    """Bias of a kernel that accumulates x·w on raw int8 values with padding filled by the input's zero-point.

    Σ(x − zx)(w − zw) = Σx·w − zx·Σw − zw·Σx + k·zx·zw; the term −zw·Σx stays with the kernel.

    Args:
        axes: the axes of ``weights`` that one output channel sums over.
    """
    taps = int(np.prod([weights.values.shape[axis] for axis in axes]))
    sums = weights.values.sum(axis=axes, dtype=np.int64)
    return (bias - in_zero * sums + taps * in_zero * weights.zero_point).astype(np.int32)
