"""Requantization prearranged for a channel: the constants of ``qmcu_lane_t`` (``core/requant_lane.h``), exact.

With n = -shift, x = 2·(acc + bias) and z the output's zero-point, TFLite's two roundings are
``(smmlar(x, multiplier, round) + (x >> 31)) >> n`` for round = (z << n) + 2^(n-1): five operations with the sum and the
saturation. The sign may be left out where results below z are clamped to z ("rectified").

One rounding is ``(smmla(x, multiplier, round)) >> n`` for a multiplier with which no product is exactly a half.
"""

from __future__ import annotations

import numpy as np

from quantmcu_kit.numerics.fixedpoint import INT32_MAX
from quantmcu_kit.numerics.single_rounding import STEPS
from quantmcu_kit.ops.convolution import Params as ConvolutionParams
from quantmcu_kit.ops.fully_connected import Params as FullyConnectedParams
from quantmcu_kit.ops.requantize import Requant, Rounding
from quantmcu_kit.ops.weighted import Weights

LANE_WORDS = 4
_MAX_SHIFT = 30
_MOST_ONCE = 23  # right shifts of a sum that is rounded once


def accumulator_bounds(weights: Weights, requant: Requant) -> np.ndarray:
    """int64 [channels]: the most that |Σ(x − zx)·(w − zw) + bias| of any input can be."""
    return np.abs(requant.bias.astype(np.int64)) + weights.max_input * weights.magnitude


def is_rectified(requant: Requant) -> bool:
    """Whether results below the zero-point are clamped away, so that negative sums may round either way."""
    return requant.low >= requant.zero_point


def arrange(requant: Requant, bias: np.ndarray, bounds: np.ndarray) -> np.ndarray | None:
    """int32 [channels, LANE_WORDS] as ``qmcu_lane_t``, or None where the requantization has no such form.

    Args:
        bias: the kernel's own, with corrections for zero-points folded in; modulo 2^31.
        bounds: int64 [channels], from :func:`accumulator_bounds`: of the sums with every correction.
    """
    channels = len(bias)
    multiplier = np.broadcast_to(requant.multiplier.astype(np.int64), channels)
    n = np.broadcast_to(-requant.shift.astype(np.int64), channels)
    if np.any(bounds >= 1 << 30):
        return None
    once = requant.rounding is Rounding.ONCE
    if np.any(n < (0 if is_rectified(requant) and not once else 1)):
        return None
    half = (np.int64(1) << n) >> 1
    is_constant = (bounds * multiplier + (1 << 30)) >> 31 < half  # the zero-point, whatever is multiplied
    multiplier, n = np.where(is_constant, 0, multiplier), np.where(is_constant, 1, n)
    if once:
        if np.any(n > _MOST_ONCE):
            return None
        multiplier, is_exact = _without_halves(multiplier, n, bounds)
        if not is_exact.all():
            return None
    largest, half = (bounds * multiplier + (1 << 30)) >> 31, (np.int64(1) << n) >> 1
    if np.any(n > _MAX_SHIFT):
        return None
    rounds = (np.int64(requant.zero_point) << n) + half
    if np.any(largest + np.abs(rounds) >= INT32_MAX):
        return None
    twice = (2 * bias.astype(np.int64)).astype(np.uint64).astype(np.uint32).view(np.int32)
    return np.stack([twice, multiplier, rounds, n], axis=1).astype(np.int32)


def of_layer(params: ConvolutionParams | FullyConnectedParams) -> np.ndarray | None:
    """Lanes of a layer whose kernel accumulates inputs as they are stored, padding filled by their zero-point."""
    weights, requant = params.weights, params.requant
    bias = weights.fold_zero_points(requant.bias, params.in_zero)
    return arrange(requant, bias, accumulator_bounds(weights, requant))


def _without_halves(multiplier: np.ndarray, n: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers whose products, rounded once with halves up, are those of ``multiplier`` with halves away from zero.

    Both agree on |x| <= bound if they step at the same x and no product is exactly a half: with steps at x_k, the least
    x >= 0 with x·multiplier >= (k − 1/2)·2^(31 + n), it must hold (x_k − 1)·m < (k − 1/2)·2^(31 + n) < x_k·m.

    Args:
        multiplier, n, bounds: int64 [channels]; n <= _MOST_ONCE.
    Returns:
        multipliers, and whether there is one, both [channels]; 0 stays 0.
    """
    half = (2 * np.arange(1, STEPS + 1) - 1) << (30 + n[:, None])  # < 2^(9 + 30 + n) <= 2^62
    bound = bounds[:, None]
    step = -(-half // np.maximum(multiplier, 1)[:, None])
    low = np.where(step <= bound, half // step + 1, 0).max(axis=1)
    before = np.maximum(step - 1, 1)
    high = np.where((step > 1) & (step <= bound + 1), -(-half // before) - 1, INT32_MAX).min(axis=1)
    is_zero = multiplier == 0
    return np.where(is_zero, 0, np.clip(multiplier, low, np.maximum(low, high))), is_zero | (low <= high)
