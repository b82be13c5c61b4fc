"""Operators on maps of any width by their definitions: Python integers and fractions, one output value after another.

Shares nothing with ``quantmcu_kit``: multipliers, roundings and clamps are written out as DESIGN.md states them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class Map:
    """Width, scale and zero-point of a feature map: int8 at 8 bits, unsigned below."""

    bits: int
    scale: float
    zero: int

    @property
    def low(self) -> int:
        """The least value."""
        return -128 if self.bits == 8 else 0

    @property
    def high(self) -> int:
        """The greatest value."""
        return {8: 127, 4: 15, 2: 3}[self.bits]

    def clamp(self, value: int, bounds: tuple[float, float] = (-math.inf, math.inf)) -> int:
        """``value`` within the map's type and within the real ``bounds`` of a fused activation."""
        low, high = (
            None
            if math.isinf(bound)
            else self.zero + half_away(Fraction(float(np.float32(bound) / np.float32(self.scale))))
            for bound in bounds
        )
        low = self.low if low is None else max(self.low, low)
        high = self.high if high is None else min(self.high, high)
        return min(max(value, low), high)

    def values(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Random values as the interpreter holds them."""
        return rng.integers(self.low, self.high, shape, endpoint=True).astype(np.int8 if self.bits == 8 else np.uint8)


def half_away(x: Fraction) -> int:
    """The nearest integer, halves away from zero."""
    return math.floor(abs(x) + Fraction(1, 2)) * (1 if x >= 0 else -1)


def multiplier(real: float) -> tuple[int, int]:
    """(m, shift): ``real`` = m · 2^(shift - 31) with m rounded to 31 bits."""
    if real == 0:
        return 0, 0
    fraction, shift = Fraction(real), 0
    while fraction >= 1:
        fraction, shift = fraction / 2, shift + 1
    while fraction < Fraction(1, 2):
        fraction, shift = fraction * 2, shift - 1
    m = half_away(fraction * 2**31)
    if m == 2**31:
        m, shift = m // 2, shift + 1
    return (0, 0) if shift < -31 else (m, shift)


def scaled(x: int, m: int, shift: int) -> int:
    """x · m · 2^(shift - 31), rounded twice: the product by 31 bits, halves up; then the right shift, halves away."""
    assert abs(x) << max(shift, 0) < 2**31, "the accumulator overflows"
    high = math.floor(Fraction((x << max(shift, 0)) * m, 2**31) + Fraction(1, 2))
    return half_away(Fraction(high, 2 ** max(-shift, 0)))


def requantized(q: int, x: Map, y: Map, ratio: float | None = None) -> int:
    """A value under another width, scale and zero-point, not clamped."""
    return y.zero + scaled(q - x.zero, *multiplier(x.scale / y.scale if ratio is None else ratio))


def each_window(
    in_size: tuple[int, int], out_size: tuple[int, int], kernel: tuple[int, int], stride: int, dilation: int, pad: int
) -> Iterator[tuple[int, int, list[tuple[int, int, int, int]]]]:
    """(y, x, taps) of each output pixel; a tap is (kernel row, kernel column, input row, input column) in the image."""
    for y, x in itertools.product(*map(range, out_size)):
        taps = []
        for ky, kx in itertools.product(*map(range, kernel)):
            row, column = y * stride + ky * dilation - pad, x * stride + kx * dilation - pad
            if 0 <= row < in_size[0] and 0 <= column < in_size[1]:
                taps.append((ky, kx, row, column))
        yield y, x, taps


def convolution(
    x: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    weight_scales: list[float],
    maps: tuple[Map, Map],
    out_size: tuple[int, int],
    window: tuple[int, int, int],
    bounds: tuple[float, float],
    depthwise: bool,
) -> np.ndarray:
    """CONV_2D of x [h, w, in] with weights [out, kh, kw, in], or DEPTHWISE_CONV_2D with weights [1, kh, kw, out].

    Args:
        window: stride, dilation, padding on every side.
    """
    source, target = maps
    outputs = len(bias)
    per_input = outputs // x.shape[2]
    scales = [multiplier(source.scale * scale / target.scale) for scale in weight_scales]
    result = np.zeros((*out_size, outputs), np.int64)
    for row, column, taps in each_window(x.shape[:2], out_size, weights.shape[1:3], *window):
        for channel in range(outputs):
            total = int(bias[channel])
            for ky, kx, y, x_ in taps:
                inputs = [channel // per_input] if depthwise else range(x.shape[2])
                for i in inputs:
                    weight = weights[0, ky, kx, channel] if depthwise else weights[channel, ky, kx, i]
                    total += (int(x[y, x_, i]) - source.zero) * int(weight)
            result[row, column, channel] = target.clamp(target.zero + scaled(total, *scales[channel]), bounds)
    return result


def fully_connected(
    x: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    weight_scales: list[float],
    maps: tuple[Map, Map],
    bounds: tuple[float, float],
) -> np.ndarray:
    """x [in] times weights [out, in]; the double product of the scales times the sum is rounded once."""
    source, target = maps
    result = []
    for row, offset, scale in zip(weights.tolist(), bias.tolist(), weight_scales, strict=True):
        total = offset + sum((q - source.zero) * weight for q, weight in zip(x.tolist(), row, strict=True))
        real = Fraction(source.scale * scale / target.scale)
        result.append(target.clamp(target.zero + half_away(total * real), bounds))
    return np.array(result)


def add(a: int, b: int, sign: int, maps: tuple[Map, Map, Map], bounds: tuple[float, float]) -> int:
    """a ± b: each 2^20 times over on twice the larger scale, the sum brought to the output's."""
    first, second, target = maps
    common = 2 * max(first.scale, second.scale)
    total = scaled((a - first.zero) * 2**20, *multiplier(first.scale / common))
    total += sign * scaled((b - second.zero) * 2**20, *multiplier(second.scale / common))
    return target.clamp(target.zero + scaled(total, *multiplier(common / (2**20 * target.scale))), bounds)


def mul(a: int, b: int, maps: tuple[Map, Map, Map], bounds: tuple[float, float]) -> int:
    """a · b; the ratio of the scales is a float32."""
    first, second, target = maps
    ratio = float(np.float32(first.scale) * np.float32(second.scale) / np.float32(target.scale))
    product = (a - first.zero) * (b - second.zero)
    return target.clamp(target.zero + scaled(product, *multiplier(ratio)), bounds)


def mean(values: list[int], x: Map, y: Map) -> int:
    """The mean, not clamped: the multiplier of the scales divided by the count and truncated."""
    count = len(values)
    m, shift = multiplier(x.scale / y.scale)
    extra = min(int(math.log2(count)), 32, 31 + shift)
    return y.zero + scaled(sum(values) - count * x.zero, m * 2**extra // count, shift - extra)


def pool(
    x: np.ndarray,
    out_size: tuple[int, int],
    kernel: tuple[int, int],
    window: tuple[int, int, int],
    reduce: Callable[[list[int]], int],
) -> np.ndarray:
    """``reduce`` of the pixels of each window that lie within x [h, w, c], channel by channel."""
    result = np.zeros((*out_size, x.shape[2]), np.int64)
    for row, column, taps in each_window(x.shape[:2], out_size, kernel, *window):
        for channel in range(x.shape[2]):
            result[row, column, channel] = reduce([int(x[y, x_, channel]) for _, _, y, x_ in taps])
    return result
