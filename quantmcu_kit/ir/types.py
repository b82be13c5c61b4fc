"""Small value types of the IR: element types, sizes, padding, quantization."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np


class DType(Enum):
    """Element type of a tensor; the value is numpy's name for it, below 8 bits a name in numpy's manner.

    Feature maps are I8, U4 or U2, weights I8, I4 or I2. Arrays hold one element in each byte, whatever its width; the
    generated library packs them (``numerics.packing``).
    """

    F32 = "float32"
    F16 = "float16"
    I8 = "int8"
    U8 = "uint8"
    I16 = "int16"
    I32 = "int32"
    I64 = "int64"
    BOOL = "bool"
    U4 = "uint4"
    U2 = "uint2"
    I4 = "int4"
    I2 = "int2"

    @staticmethod
    def feature_map(bits: int) -> DType:
        """The element type of a feature map of 8, 4 or 2 bits: int8 as in TFLite, unsigned below."""
        return {8: DType.I8, 4: DType.U4, 2: DType.U2}[bits]

    @staticmethod
    def weights(bits: int) -> DType:
        """The element type of weights of 8, 4 or 2 bits."""
        return {8: DType.I8, 4: DType.I4, 2: DType.I2}[bits]

    @property
    def numpy(self) -> np.dtype:
        """The numpy dtype of an array of such elements; below 8 bits, one byte for each."""
        return _STORED[self]

    @property
    def bits(self) -> int:
        """Width of one element in memory."""
        return _NARROW.get(self) or 8 * _STORED[self].itemsize

    @property
    def is_packed(self) -> bool:
        """Whether several elements share a byte of memory."""
        return self in _NARROW

    @property
    def low(self) -> int:
        """The least value of an integer type."""
        return -(1 << (self.bits - 1)) if self.value.startswith("int") else 0

    @property
    def high(self) -> int:
        """The greatest value of an integer type."""
        return self.low + (1 << self.bits) - 1

    @property
    def is_float(self) -> bool:
        """Whether elements are floating-point numbers."""
        return self in (DType.F32, DType.F16)


_NARROW = {DType.U4: 4, DType.U2: 2, DType.I4: 4, DType.I2: 2}
_STORED = {dtype: np.dtype(dtype.value.rstrip("42") + "8" if dtype in _NARROW else dtype.value) for dtype in DType}


class Activation(Enum):
    """Activation fused behind an operator: a clamp of its real-valued output."""

    NONE = "none"
    RELU = "relu"
    RELU6 = "relu6"
    RELU_N1_TO_1 = "relu_n1_to_1"

    @property
    def bounds(self) -> tuple[float, float]:
        """(low, high) of the clamp in real values, infinite where open."""
        inf = float("inf")
        return {
            Activation.NONE: (-inf, inf),
            Activation.RELU: (0.0, inf),
            Activation.RELU6: (0.0, 6.0),
            Activation.RELU_N1_TO_1: (-1.0, 1.0),
        }[self]


@dataclass(frozen=True)
class Size:
    """Height and width, in pixels or steps."""

    h: int
    w: int


@dataclass(frozen=True)
class Padding:
    """Pixels of padding on each side. SAME and VALID are resolved to this at import."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    @property
    def is_zero(self) -> bool:
        """Whether nothing is padded."""
        return not (self.top or self.bottom or self.left or self.right)

    def __add__(self, other: Padding) -> Padding:
        return Padding(
            self.top + other.top, self.bottom + other.bottom, self.left + other.left, self.right + other.right
        )


@dataclass(frozen=True, eq=False)
class Quant:
    """Affine quantization real = scale · (q − zero_point).

    Attributes:
        scale: float32, shape [1] (per tensor) or [channels] (per channel).
        zero_point: int32, same shape as ``scale``.
        axis: the channel axis when per channel, else None.
    """

    scale: np.ndarray
    zero_point: np.ndarray
    axis: int | None = None

    @staticmethod
    def per_tensor(scale: float, zero_point: int) -> Quant:
        """Quantization with one scale for the whole tensor."""
        return Quant(np.array([scale], np.float32), np.array([zero_point], np.int32))

    @property
    def s(self) -> np.float32:
        """The single scale of a per-tensor quantization."""
        assert self.scale.size == 1, "per-channel quantization has no single scale"
        return self.scale[0]

    @property
    def z(self) -> int:
        """The single zero-point of a per-tensor quantization."""
        assert self.zero_point.size == 1, "per-channel quantization has no single zero-point"
        return int(self.zero_point[0])

    def same_as(self, other: Quant | None) -> bool:
        """Whether both map integers to the same real values, bit for bit."""
        return (
            other is not None
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero_point, other.zero_point)
        )

    def _broadcast(self, values: np.ndarray, rank: int) -> np.ndarray:
        if self.axis is None or values.size == 1:
            return values.reshape(())
        return values.reshape([-1 if axis == self.axis else 1 for axis in range(rank)])

    def dequantize(self, q: np.ndarray) -> np.ndarray:
        """Real values (float32) of integers ``q``, TFLite's DEQUANTIZE: float32 scale times exact difference."""
        zero = self._broadcast(self.zero_point, q.ndim)
        return (q.astype(np.int32) - zero).astype(np.float32) * self._broadcast(self.scale, q.ndim)

    def quantize(self, real: np.ndarray, low: int, high: int) -> np.ndarray:
        """Integers (int32) nearest to ``real``, halves away from zero, within [low, high] (TFLite AffineQuantize)."""
        scaled = np.asarray(real, np.float32) / self._broadcast(self.scale, np.ndim(real))
        rounded = np.trunc(scaled.astype(np.float64) + np.copysign(0.5, scaled))
        zero = self._broadcast(self.zero_point, np.ndim(real))
        return np.clip(rounded + zero, low, high).astype(np.int32)
