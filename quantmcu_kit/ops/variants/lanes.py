"""Requantization prearranged for a channel: the constants of ``qmcu_lane_t`` (``core/requant_lane.h``), exact.

With n = -shift, x = 2·(acc + bias) and z the output's zero-point, TFLite's two roundings are
``(smmlar(x, multiplier, round) + (x >> 31)) >> n`` for round = (z << n) + 2^(n-1): five operations with the sum and the
saturation. The sign may be left out where results below z are clamped to z ("rectified").

One rounding is ``(smmla(x, multiplier, round)) >> n`` for a multiplier with which no product is exactly a half.

Factors from a half to 1 leave n = 0, where nothing is rounded a second time: the sign must not count, and one rounding
has no place for its half. Such a channel's x is raised so far that it is never negative, by a number whose product is
close enough to a whole number, or to a half beyond it; the addend takes the whole number off. Factors of 1 and more
become such ones by weights and a bias that are powers of two larger (``enlarged``), as TFLite shifts sums to the left.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from quantmcu_kit.numerics.congruence import first_within
from quantmcu_kit.numerics.fixedpoint import INT32_MAX
from quantmcu_kit.numerics.single_rounding import STEPS
from quantmcu_kit.ops.convolution import Params as ConvolutionParams
from quantmcu_kit.ops.fully_connected import Params as FullyConnectedParams
from quantmcu_kit.ops.requantize import Requant, Rounding
from quantmcu_kit.ops.weighted import Weights

LANE_WORDS = 4
_MAX_SHIFT = 30
_MOST_ONCE = 23  # right shifts of a sum that is rounded once
_WORD = 1 << 32
_FAR = 1 << 62  # beyond any product
_Params = TypeVar("_Params", ConvolutionParams, FullyConnectedParams)


def accumulator_bounds(weights: Weights, requant: Requant) -> np.ndarray:
    """int64 [channels]: the most that |Σ(x − zx)·(w − zw) + bias| of any input can be."""
    return np.abs(requant.bias.astype(np.int64)) + weights.max_input * weights.magnitude


def is_rectified(requant: Requant) -> bool:
    """Whether results below the zero-point are clamped away, so that negative sums may round either way."""
    return requant.low >= requant.zero_point


def gains(requant: Requant) -> np.ndarray:
    """int64 [channels], or [1]: how many bits sums must become larger so that nothing is shifted to the left."""
    return np.maximum(requant.shift.astype(np.int64), 0)


def enlarged_requant(requant: Requant, gain: np.ndarray) -> Requant:
    """The same outputs of sums that are ``gain`` bits larger. Its bias has 64 bits."""
    bias = requant.bias.astype(np.int64) << gain
    return replace(requant, bias=bias, shift=(requant.shift.astype(np.int64) - gain).astype(np.int8))


def enlarged(params: _Params, least: int = -128, most: int = 127) -> _Params:
    """The same layer with larger weights where factors are 1 or more: as ``gains`` says.

    As it was if these would not lie between ``least`` and ``most``, for which there is no form then.
    """
    weights, gain = params.weights, gains(params.requant)
    if not gain.any():
        return params
    axes = tuple(axis for axis in range(weights.values.ndim) if axis != weights.channel_axis % weights.values.ndim)
    values = weights.values.astype(np.int64) << np.expand_dims(gain, axes)
    requant = enlarged_requant(params.requant, gain)
    if values.min() < least or values.max() > most or np.abs(requant.bias).max() > INT32_MAX:
        return params
    larger = replace(weights, values=values.astype(np.int8))
    return replace(params, weights=larger, requant=replace(requant, bias=requant.bias.astype(np.int32)))


def arrange(
    requant: Requant,
    bias: np.ndarray,
    bounds: np.ndarray,
    *,
    has_sign: bool = False,
    reach: np.ndarray | None = None,
) -> np.ndarray | None:
    """int32 [channels, LANE_WORDS] as ``qmcu_lane_t``, or None where the requantization has no such form.

    Args:
        bias: the kernel's own, with corrections for zero-points folded in; modulo 2^31.
        bounds: int64 [channels], from :func:`accumulator_bounds`: of the sums with every correction.
        has_sign: whether the kernel adds the sign even if results below the zero-point are clamped away.
        reach: int64 [channels]: the most that |sum + bias| can be on the way, where it must not leave 32 bits.
    """
    channels = len(bias)
    multiplier = np.broadcast_to(requant.multiplier.astype(np.int64), channels)
    n = np.broadcast_to(-requant.shift.astype(np.int64), channels)
    if np.any(bounds >= 1 << 30) or np.any(n < 0):
        return None
    once = requant.rounding is Rounding.ONCE
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
    twice = 2 * bias.astype(np.int64)
    if once or has_sign or not is_rectified(requant):
        (all_wide,) = np.nonzero(n == 0)
        if all_wide.size:
            found = _positive(requant, multiplier, bounds, bounds if reach is None else reach, all_wide)
            if found is None:
                return None
            twice[all_wide] += found[0]
            rounds[all_wide] = found[1]
    return np.stack([_as_int32(twice), multiplier, rounds, n], axis=1).astype(np.int32)


def _as_int32(values: np.ndarray) -> np.ndarray:
    """Modulo 2^32."""
    return values.astype(np.uint64).astype(np.uint32).view(np.int32)


def of_layer(params: ConvolutionParams | FullyConnectedParams) -> np.ndarray | None:
    """Lanes of a layer whose kernel accumulates inputs as they are stored, padding filled by their zero-point."""
    weights, requant = params.weights, params.requant
    bias = weights.fold_zero_points(requant.bias, params.in_zero)
    return arrange(requant, bias, accumulator_bounds(weights, requant))


def _positive(
    requant: Requant, multiplier: np.ndarray, bounds: np.ndarray, reach: np.ndarray, wide: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """int64 (what x is raised by, addend) of channels ``wide``, whose n is 0; None where a channel has none.

    With o for what x is raised by and h for a half where the kernel rounds, an output is (2·sum·m + e) >> 32 for
    e = o·m + h + (addend << 32). The outputs of sums say between which e lies.
    """
    once = requant.rounding is Rounding.ONCE
    m, bound = multiplier[wide], bounds[wide]
    original = np.broadcast_to(requant.multiplier.astype(np.int64), multiplier.shape)[wide]
    if np.any((original != 0) & (original < 1 << 30)):
        return None  # factors below a half
    # Sums beyond these give the limits: factors are a half or more.
    start, stop = min(requant.low - requant.zero_point - 2, 0) * 2, max(requant.high - requant.zero_point + 2, 0) * 2
    sums = np.clip(np.arange(start, stop + 1)[:, None], -bound, bound)
    exact = sums * original
    values = (exact + ((exact >> 63) if once else 0) + (1 << 30)) >> 31
    values = np.clip(values + requant.zero_point, requant.low, requant.high)
    products = 2 * sums * m
    least = np.where(values > requant.low, (values << 32) - products, -_FAR).max(axis=0)
    below = np.where(values < requant.high, ((values + 1) << 32) - products, _FAR).min(axis=0)
    least = np.where(least == -_FAR, np.where(below == _FAR, 0, below) - _WORD, least)
    width = np.minimum(below - least, _WORD)
    half = 0 if once else 1 << 31
    offsets, addends = [], []
    columns = (m, least, width, 2 * bound, 2 * reach[wide])
    for each, low, size, first, far in np.stack(columns, axis=1).tolist():
        if size <= 0:
            return None
        from_first = first_within(each, _WORD, (low - half - first * each) % _WORD, size)
        if from_first is None or first + from_first + max(first, far) > INT32_MAX:
            return None
        offset = first + from_first
        e = low + (offset * each + half - low) % _WORD
        offsets.append(offset)
        addends.append((e - offset * each - half) >> 32)
    return np.array(offsets, np.int64), np.array(addends, np.int64)


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
