"""What AVERAGE_POOL_2D and MAX_POOL_2D share: geometry, separable window reductions, the C struct's fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tflite

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.region import Region
from quantmcu_kit.ir.types import Activation, DType, Padding, Size
from quantmcu_kit.ops import halo as halos
from quantmcu_kit.ops.geometry import decode_activation, decode_padding, map_fields, output_size, pad_map
from quantmcu_kit.ops.requantize import clamp_range
from quantmcu_kit.ops.spec import Cost, Inputs, Operator, Shape

_UNIT = Size(1, 1)


@dataclass(frozen=True)
class Pool:
    """Window, stride and explicit padding; padding never takes part in a window's result."""

    window: Size
    stride: Size
    padding: Padding

    def output_size(self, image: Size) -> Size:
        """Height and width of the output for an input of ``image``; raises ``bad-shape``."""
        return output_size(image, self.window, self.stride, _UNIT, self.padding)


@dataclass(frozen=True)
class Params:
    """Integer parameters: geometry, the clamp of the fused activation, the dtypes of input and output."""

    pool: Pool
    in_shape: Shape
    out_shape: Shape
    low: int
    high: int
    in_dtype: DType
    out_dtype: DType

    def fields(self) -> tuple[tuple[str, Any], ...]:
        """Fields that both kernels' structs begin with."""
        pool = self.pool
        return (
            ("in", map_fields(self.in_shape[1:], self.in_dtype)),
            ("out", map_fields(self.out_shape[1:], self.out_dtype)),
            ("window", (("h", pool.window.h), ("w", pool.window.w))),
            ("stride", (("h", pool.stride.h), ("w", pool.stride.w))),
            ("pad", (("top", pool.padding.top), ("left", pool.padding.left))),
        )


def decode(operator: Operator, inputs: Inputs) -> tuple[Pool, Activation]:
    """Geometry and fused activation of a .tflite pooling operator."""
    options = operator.options(tflite.Pool2DOptions)
    window = Size(options.FilterHeight(), options.FilterWidth())
    stride = Size(options.StrideH(), options.StrideW())
    padding = decode_padding(options.Padding(), Size(*inputs[0].shape[1:3]), window, stride, _UNIT)
    return Pool(window, stride, padding), decode_activation(options.FusedActivationFunction())


def infer(pool: Pool, x: Tensor) -> Shape:
    """[n, h, w, c] -> [n, h', w', c]."""
    size = pool.output_size(Size(*x.shape[1:3]))
    return (x.shape[0], size.h, size.w, x.shape[3])


def reduce_windows(pool: Pool, x: np.ndarray, reduce: np.ufunc, neutral: float) -> np.ndarray:
    """``reduce`` over each window of x [n, h, w, c], rows first, then columns.

    Args:
        reduce: commutative and associative, such as ``np.maximum``.
        neutral: value of padding, which ``reduce`` ignores.
    """
    out = pool.output_size(Size(*x.shape[1:3]))
    padded = pad_map(x, pool.padding, neutral)
    rows = _slide(padded, 1, pool.window.h, pool.stride.h, out.h, reduce)
    return _slide(rows, 2, pool.window.w, pool.stride.w, out.w, reduce)


def _slide(x: np.ndarray, axis: int, window: int, stride: int, count: int, reduce: np.ufunc) -> np.ndarray:
    """``reduce`` of ``count`` windows along ``axis``."""

    def tap(offset: int) -> np.ndarray:
        index = [slice(None)] * x.ndim
        index[axis] = slice(offset, offset + (count - 1) * stride + 1, stride)
        return x[tuple(index)]

    result = tap(0).copy()
    for offset in range(1, window):
        reduce(result, tap(offset), out=result)
    return result


def window_counts(pool: Pool, image: Size) -> np.ndarray:
    """Pixels of each window that lie within the image: int64 [h', w', 1]."""
    return reduce_windows(pool, np.ones((1, image.h, image.w, 1), np.int64), np.add, 0)[0]


def prepare(pool: Pool, activation: Activation, inputs: Inputs, output: Tensor) -> Params:
    """Integer parameters from quantized tensors."""
    x = inputs[0]
    low, high = clamp_range(activation, output.quant, output.dtype)
    return Params(pool, x.shape, output.shape, low, high, x.dtype, output.dtype)


def halo(attrs: Any, inputs: Inputs, output: Tensor, region: Region) -> halos.Regions:
    """The windows of the region's pixels."""
    pool = attrs.pool
    return (halos.window(region, pool.window, pool.stride, _UNIT, pool.padding),)


def cost(attrs: Any, inputs: Inputs, output: Tensor) -> Cost:
    """No multiply-accumulates: bytes only."""
    return Cost(0, inputs[0].bytes, output.bytes)


def map_is_4d(attrs: Any, x: Tensor) -> bool:
    """The input must be a 4-D NHWC map."""
    return len(x.shape) == 4
