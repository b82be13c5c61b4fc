"""Requantization of int32 accumulators (integer channel normalization), shared by the weighted ops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, DType, Quant
from quantmcu_kit.numerics.fixedpoint import INT32_MAX, quantize_multiplier, round_half_away

_BLOCK = 1 << 14  # elements requantized at a time: two int64 temporaries stay within the L2 cache


def map_span(dtype: DType) -> int:
    """The most that |q - zero_point| of a map can be: 255, 15 or 3; zero-points are values of the map's type."""
    return dtype.high - dtype.low


class Rounding(Enum):
    """How often the scaled accumulator is rounded; TFLite's reference kernels differ in it."""

    TWICE = "twice"  # MultiplyByQuantizedMultiplier: CONV_2D, DEPTHWISE_CONV_2D, MEAN
    ONCE = "once"  # double precision, then round(): FULLY_CONNECTED


def clamp_range(activation: Activation, quant: Quant, dtype: DType = DType.I8) -> tuple[int, int]:
    """(low, high) of the integer clamp that a fused activation means (TFLite CalculateActivationRangeQuantized)."""
    low, high = activation.bounds
    scale = np.float32(quant.s)

    def edge(real: float) -> int:
        return quant.z + round_half_away(float(np.float32(real) / scale))

    q_low = dtype.low if low == -np.inf else max(dtype.low, edge(low))
    q_high = dtype.high if high == np.inf else min(dtype.high, edge(high))
    return q_low, q_high


def divided_multiplier(real: float, count: int) -> tuple[int, int]:
    """(multiplier, shift) of ``real / count`` as TFLite derives them for means: divided and truncated."""
    multiplier, shift = quantize_multiplier(real)
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << extra) // count, shift - extra


@dataclass(frozen=True, eq=False)
class Requant:
    """y = clamp(zero_point + round((acc + bias) · multiplier · 2^(shift − 31)), low, high).

    Attributes:
        bias: int32 [channels].
        multiplier, shift: int32 and int8, both [channels], or [1] for one value for the whole tensor.
        zero_point, low, high: of the output.
        rounding: with two roundings or one.
        dtype: of the output.
    """

    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray
    zero_point: int
    low: int
    high: int
    rounding: Rounding = Rounding.TWICE
    dtype: DType = DType.I8

    def apply(self, accumulators: np.ndarray) -> np.ndarray:
        """Outputs of integer-valued accumulators (any dtype) whose last axis is the channel."""
        channels = accumulators.shape[-1]
        rows = accumulators.reshape(-1, channels)
        result = np.empty(rows.shape, self.dtype.numpy)
        scale = self._scale_once() if self.rounding is Rounding.ONCE else self._scale_twice()
        step = max(1, _BLOCK // channels)
        for start in range(0, len(rows), step):
            block = rows[start : start + step].astype(np.int64)
            block += self.bias
            scale(block)
            block += self.zero_point
            np.clip(block, self.low, self.high, out=block)
            result[start : start + step] = block
        return result.reshape(accumulators.shape)

    def with_constants(self, is_constant: np.ndarray) -> Requant:
        """The same outputs, where constant channels have factors for which every fast kernel has a form.

        A channel that no input reaches may have any factor, even far above 1: it gets a quarter. One whose factor is so
        small that it became 0 gets 2^-51, which makes 0 of every sum below 2^31 as well.

        Args:
            is_constant: bool [channels]: the sum is always the bias.
        """
        is_tiny = (self.multiplier == 0) & ~is_constant
        if self.multiplier.size == 1 or not (is_constant | is_tiny).any():
            return self
        values = self.apply(np.zeros((1, is_constant.size), np.int32))[0].astype(np.int32)
        return replace(
            self,
            bias=np.where(is_constant, (values - self.zero_point) << 2, self.bias),
            multiplier=np.where(is_constant, np.int32(1 << 30), np.where(is_tiny, np.int32(1), self.multiplier)),
            shift=np.where(is_constant, np.int8(-1), np.where(is_tiny, np.int8(-20), self.shift)),
        )

    def _scale_once(self) -> Callable[[np.ndarray], None]:
        """In place: ``multiply_rounding_once`` of ``numerics.single_rounding``."""
        multiplier = self.multiplier.astype(np.int64)
        exponent = 31 - self.shift.astype(np.int64)
        half = np.int64(1) << (exponent - 1)

        def scale(block: np.ndarray) -> None:
            block *= multiplier
            block += block >> 63  # one less for negative values: halves go away from zero
            block += half
            block >>= exponent

        return scale

    def _scale_twice(self) -> Callable[[np.ndarray], None]:
        """In place: ``multiply_by_quantized_multiplier`` of ``numerics.fixedpoint``."""
        shift = self.shift.astype(np.int64)
        multiplier = self.multiplier.astype(np.int64) << np.maximum(shift, 0)  # the accumulator's left shift
        right = np.maximum(-shift, 0)
        half = (np.int64(1) << right) >> 1
        shifts = -(right > 0).astype(np.int64)  # all bits set where there is a second rounding

        def scale(block: np.ndarray) -> None:
            block *= multiplier
            block += 1 << 30
            block >>= 31
            block += (block >> 63) & shifts
            block += half
            block >>= right

        return scale

    def fields(self, bias: np.ndarray) -> tuple[tuple[str, object], ...]:
        """The C struct ``qmcu_requant_t``, with ``bias`` (the kernel's folded one) in place of this bias."""
        return (
            ("bias", bias.astype(np.int32)),
            ("multiplier", self.multiplier.astype(np.int32)),
            ("shift", self.shift.astype(np.int8)),
            ("per_channel", int(self.multiplier.size > 1)),
            ("zero_point", self.zero_point),
            ("low", self.low),
            ("high", self.high),
        )


def check_accumulator(bound: np.ndarray, shift: np.ndarray, tensor: Tensor) -> None:
    """Raise ``accumulator-overflow`` unless |acc|·2^max(shift, 0) ≤ bound·2^max(shift, 0) < 2^31 for each channel."""
    worst = max(int(b) << max(int(s), 0) for b, s in np.broadcast(bound, shift))
    if worst > INT32_MAX:
        raise QmkitError(
            "accumulator-overflow",
            f"the 32-bit accumulator of {tensor.name!r} can reach {worst:,}",
            why="|bias| + Σ|weight|·|input| must stay below 2^31",
            hint="the model's weights or biases are far outside the usual range; check how it was quantized",
        )
