"""Requantization of int32 accumulators to int8 (integer channel normalization), shared by the weighted ops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, Quant
from quantmcu_kit.numerics.fixedpoint import INT32_MAX, multiply_by_quantized_multiplier, round_half_away

INT8_MIN, INT8_MAX = -128, 127
_BLOCK = 1 << 15  # elements requantized at a time: four int64 temporaries stay within the L2 cache


def clamp_range(activation: Activation, quant: Quant) -> tuple[int, int]:
    """(low, high) of the int8 clamp that a fused activation means (TFLite CalculateActivationRangeQuantized)."""
    low, high = activation.bounds
    scale = np.float32(quant.s)

    def edge(real: float) -> int:
        return quant.z + round_half_away(float(np.float32(real) / scale))

    q_low = INT8_MIN if low == -np.inf else max(INT8_MIN, edge(low))
    q_high = INT8_MAX if high == np.inf else min(INT8_MAX, edge(high))
    return q_low, q_high


@dataclass(frozen=True, eq=False)
class Requant:
    """y = clamp(zero_point + round((acc + bias) · multiplier · 2^(shift − 31)), low, high).

    Attributes:
        bias: int32 [channels].
        multiplier, shift: int32 and int8, both [channels], or [1] for one value for the whole tensor.
        zero_point, low, high: of the int8 output.
    """

    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray
    zero_point: int
    low: int
    high: int

    def apply(self, accumulators: np.ndarray) -> np.ndarray:
        """int8 outputs of integer-valued accumulators (any dtype) whose last axis is the channel."""
        channels = accumulators.shape[-1]
        rows = accumulators.reshape(-1, channels)
        result = np.empty(rows.shape, np.int8)
        step = max(1, _BLOCK // channels)
        for start in range(0, len(rows), step):
            block = rows[start : start + step].astype(np.int64)
            block += self.bias
            block = multiply_by_quantized_multiplier(block, self.multiplier, self.shift)
            block += self.zero_point
            result[start : start + step] = np.clip(block, self.low, self.high)
        return result.reshape(accumulators.shape)

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
    worst = int(np.max(bound.astype(np.int64) << np.maximum(shift.astype(np.int64), 0)))
    if worst > INT32_MAX:
        raise QmkitError(
            "accumulator-overflow",
            f"the 32-bit accumulator of {tensor.name!r} can reach {worst:,}",
            why="|bias| + Σ|weight|·255 must stay below 2^31",
            hint="the model's weights or biases are far outside the usual range; check how it was quantized",
        )
