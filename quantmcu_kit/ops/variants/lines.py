"""Requantization as one line: y = (x·multiplier >> 32) >> SHIFT for x = factor·Σ + bias, saturated.

Exact where the output is clamped at the ends of its type only and TFLite's roundings step at sums that a line meets.
With T_k the least sum that gives k or more, that is, for every k,

    (factor·T_k + bias)·multiplier >= k·2^(32 + SHIFT)  and  (factor·(T_k − 1) + bias)·multiplier < k·2^(32 + SHIFT).

Outputs that are clamped at their zero-point have such lines, for what is left of double rounding there is a constant.
So have outputs that are rounded once, as nothing is shifted right. For others there seldom is one, as negative values
round the other way. The factor goes into the weights; which one is taken decides whether whole numbers meet all steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from quantmcu_kit.numerics.fixedpoint import INT32_MAX
from quantmcu_kit.ops.requantize import Requant, Rounding
from quantmcu_kit.ops.variants.lanes import is_rectified

SHIFT = 10  # QMCU_LINE_SHIFT of core/planes.h
FIELD_SHIFT = 7  # QMCU_POLY_SHIFT of core/poly.h
_SHIFTS = (-8, 20)  # of the requantization, to the right
_TRIES = 200  # factors
_FIXED_TRIES = 300  # multipliers on either side of the nearest, for one factor
_DETOURS = (
    0,
    1,
    -1,
    3,
    -3,
    7,
    -7,
    20,
    -20,
    50,
    -50,
    120,
    -120,
    300,
    -300,
    900,
    -900,
)  # from the multiplier that is nearest
_SPARE_MULTIPLIERS = (1 << 20, 1 << 24, 1 << 28, 1 << 30)  # for channels that hardly ever leave their zero-point
_FAR = 1 << 40  # beyond any bias


def first_sums(requant: Requant, channels: int) -> tuple[np.ndarray, np.ndarray] | None:
    """(values [k], least true sums [channels, k] with which the output is k or more), int64; None beyond its bounds.

    For every value of the output's type but the lowest. A true sum is Σ(x − zx)·(w − zw) + bias.
    """
    multiplier = np.broadcast_to(requant.multiplier.astype(np.int64), channels)[:, None]
    n = np.broadcast_to(-requant.shift.astype(np.int64), channels)[:, None]
    dtype = requant.dtype
    is_whole = requant.low == dtype.low and requant.high == dtype.high
    is_near = np.all((n >= _SHIFTS[0]) & (n <= _SHIFTS[1]) & (multiplier >= 1))
    if not is_whole or requant.rounding is not Rounding.TWICE or not is_near:
        return None
    values = np.arange(dtype.low + 1, dtype.high + 1, dtype=np.int64)
    above, right, left = values - requant.zero_point, np.maximum(n, 0), np.maximum(-n, 0)
    half = (np.int64(1) << right) >> 1
    least = (above << right) - half + ((above <= 0) & (right > 0))  # after the first rounding
    return values, -(-((least << 31) - (1 << 30)) // (multiplier << left))


def arrange(
    requant: Requant, bias: np.ndarray, bounds: np.ndarray, raw: np.ndarray, most: np.ndarray
) -> np.ndarray | None:
    """int32 [channels, 4]: bias, multiplier, 0, 256 * factor of each channel; None where no line is exact.

    Args:
        bias: the kernel's own, with corrections for zero-points folded in.
        bounds: int64 [channels]: the most that a true sum's magnitude can be.
        raw: int64 [channels]: the same of Σx·w.
        most: int64 [channels]: the largest factor that the kernel's weights can bear.
    """
    steps = first_sums(requant, len(bias))
    is_straight = is_rectified(requant) or np.all(requant.shift >= 0)
    if steps is None or not is_straight:
        return None
    columns = (*np.broadcast_arrays(requant.multiplier, requant.shift, bias, bounds, raw, most),)
    return _solved(np.stack(columns).astype(np.int64).tobytes(), steps[0].tobytes(), steps[1].tobytes())


@lru_cache(maxsize=128)
def _solved(columns: bytes, values: bytes, sums: bytes) -> np.ndarray | None:
    """``arrange`` of bytes: a layer is asked about many times."""
    multiplier, shift, bias, bounds, raw, most = np.frombuffer(columns, np.int64).reshape(6, -1)
    values, sums = np.frombuffer(values, np.int64), np.frombuffer(sums, np.int64).reshape(bias.size, -1)
    scale = multiplier << np.maximum(SHIFT + 1 + shift, 0)
    divisor = np.int64(1) << np.maximum(-shift - SHIFT - 1, 0)  # factor · multiplier = scale / divisor
    result = np.zeros((bias.size, 4), np.int64)
    left = np.arange(bias.size)
    for every in _candidates(scale, divisor, most):
        if left.size == 0:
            break
        factor, slope = (each[left] for each in every)
        offset, is_exact = _offsets(values, sums[left], factor, slope, bounds[left])
        total = offset + bias[left] * factor
        is_exact &= np.abs(total) + raw[left] * factor <= INT32_MAX
        found = np.stack([total, slope, np.zeros_like(total), factor << 8], axis=1)
        result[left[is_exact]] = found[is_exact]
        left = left[~is_exact]
    return result.astype(np.int32) if left.size == 0 else None


def _candidates(scale: np.ndarray, divisor: np.ndarray, most: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(factors, multipliers) [channels] to try: large factors first."""
    for more, less in itertools.product(_DETOURS, range(_TRIES)):
        factor = np.maximum(most - less, 1)
        multiplier = (scale + divisor * factor // 2) // (divisor * factor) + more
        yield factor, np.clip(multiplier, 1, INT32_MAX)
    for spare in _SPARE_MULTIPLIERS:
        yield np.ones_like(scale), np.full_like(scale, spare)


def _offsets(
    values: np.ndarray, sums: np.ndarray, factor: np.ndarray, multiplier: np.ndarray, bounds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(what to add to factor·sum, whether that is exact for every sum within the bounds), [channels] each."""
    level = -(-(values << (32 + SHIFT)) // multiplier[:, None])  # the least x that gives k
    factor, bounds = factor[:, None], bounds[:, None]
    at_least = level - factor * np.maximum(sums, -bounds)
    at_most = level - 1 - factor * (np.minimum(sums, bounds + 1) - 1)
    low = np.where(sums <= bounds, at_least, -_FAR).max(axis=1)
    high = np.where(sums > -bounds, at_most, _FAR).min(axis=1)
    middle = np.where(low <= -_FAR, np.minimum(high, 0), np.where(high >= _FAR, np.maximum(low, 0), (low + high) >> 1))
    return middle, low <= high


def of_factor(
    requant: Requant, bias: np.ndarray, bounds: np.ndarray, raw: np.ndarray, factor: int
) -> np.ndarray | None:
    """int32 [channels, 2]: bias and multiplier of each channel for one factor; None where no line is exact.

    Args:
        bias, bounds, raw: as in :func:`arrange`.
    """
    steps = first_sums(requant, len(bias))
    if steps is None or not is_rectified(requant):
        return None
    columns = (*np.broadcast_arrays(requant.multiplier, requant.shift, bias, bounds, raw),)
    return _solved_with(np.stack(columns).astype(np.int64).tobytes(), steps[0].tobytes(), steps[1].tobytes(), factor)


@lru_cache(maxsize=128)
def _solved_with(columns: bytes, values: bytes, sums: bytes, factor: int) -> np.ndarray | None:
    """``of_factor`` of bytes."""
    multiplier, shift, bias, bounds, raw = np.frombuffer(columns, np.int64).reshape(5, -1)
    values, sums = np.frombuffer(values, np.int64), np.frombuffer(sums, np.int64).reshape(bias.size, -1)
    exact = _slopes(multiplier, shift, factor)
    detours = (sign * more * np.maximum(exact >> 28, 1) for more in range(_FIXED_TRIES) for sign in (1, -1))
    spares = [np.full_like(exact, spare) - exact for spare in _SPARE_MULTIPLIERS]
    steep = exact - _FIXED_TRIES * (exact >> 28) > INT32_MAX  # for these it is a spare or nothing
    result = np.zeros((bias.size, 2), np.int64)
    left = np.arange(bias.size)
    tries = itertools.chain(spares, detours) if steep.any() else itertools.chain(detours, spares)
    for turn, detour in enumerate(tries):
        if turn == len(spares) and steep[left].any():
            return None
        slope = np.clip(exact + detour, 1, INT32_MAX)[left]
        offset, is_exact = _offsets(values, sums[left], np.full_like(slope, factor), slope, bounds[left])
        total = offset + bias[left] * factor
        is_exact &= np.abs(total) + raw[left] * factor <= INT32_MAX
        result[left[is_exact]] = np.stack([total, slope], axis=1)[is_exact]
        left = left[~is_exact]
        if left.size == 0:
            return result.astype(np.int32)
    return None


def _slopes(multiplier: np.ndarray, shift: np.ndarray, factor: int) -> np.ndarray:
    """int64: multiplier · 2^(SHIFT + 1 + shift) / factor, what is next to it."""
    up = SHIFT + 1 + shift
    scaled = (multiplier << np.maximum(up, 0)) // factor
    return np.where(up >= 0, scaled, (multiplier >> np.maximum(-up, 0)) // factor)


def of_fields(requant: Requant, offset: np.ndarray, most: np.ndarray) -> np.ndarray | None:
    """int32 [channels, 2]: multiplier and addend of 8 bits whose highest ones are the output less its lowest value.

    The 8 bits are ((field·multiplier >> 16) + addend) >> FIELD_SHIFT, saturated. None where no line is exact.

    Args:
        offset: int64 [channels]: what a field has beyond the true sum.
        most: int64 [channels]: fields are 0..most, below 2^15.
    """
    steps = first_sums(requant, len(offset))
    if steps is None:
        return None
    values, sums = steps
    first = np.clip(sums + offset[:, None], 0, most[:, None] + 1)  # the least field that gives each value
    n = np.broadcast_to(-requant.shift.astype(np.int64), len(offset))
    up = FIELD_SHIFT + 8 - requant.dtype.bits  # bits of a field's value below the output's
    multiplier = np.broadcast_to(requant.multiplier.astype(np.int64), len(offset))
    exact = multiplier << np.maximum(up - 15 - n, 0) >> np.maximum(15 + n - up, 0)
    level = (values - requant.dtype.low) << up
    result = np.zeros((len(offset), 2), np.int64)
    left = np.arange(len(offset))
    for less in (0, 1, -1, 2, -2, *(sign << step for step in range(2, 20) for sign in (1, -1))):
        multiplier = np.clip(exact[left] - less, 1, INT32_MAX)[:, None]
        reached, missed = first[left] <= most[left, None], first[left] > 0
        low = np.where(reached, level - (first[left] * multiplier >> 16), -_FAR).max(axis=1)
        high = np.where(missed, level - 1 - ((first[left] - 1) * multiplier >> 16), _FAR).min(axis=1)
        low, high = np.maximum(low, -(1 << 30)), np.minimum(high, 1 << 30)
        is_exact = low <= high
        result[left[is_exact]] = np.stack([multiplier[:, 0], (low + high) >> 1], axis=1)[is_exact]
        left = left[~is_exact]
    return result if left.size == 0 else None
