"""Outer products of pixels and output channels in 64-bit accumulators: see ``core/outer.h``.

Which weights may be added up in the fields of an accumulator, how they are stored, and requantization as a line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from quantmcu_kit.ir.types import Size
from quantmcu_kit.ops.requantize import Requant

UNIT = 8  # channels that are prepared and multiplied together
_MAX_WORD_SUM = 1 << 32
_MOST_SHIFT = 16  # of a line
_LINE_SHIFTS = {2: 16, 3: 12}  # of layers that have nothing but lines, by the pixels of a word
_STEEP, _STEEP_SHIFT = 0.5, 14  # the least factor for which multipliers are 2^31 or more otherwise
_FAR = 1 << 40  # more than any offset of a line
# Slopes that are tried for a line: far ones, then close ones.
_TURNS = (*sorted(range(-9, 10), key=abs), *(turn / 8 for turn in sorted(range(-7, 8), key=abs)))


@dataclass(frozen=True)
class Form:
    """How pixels and weights lie in words.

    Attributes:
        bits: of weights.
        pixels: in a word.
        step: bits of a field.
        turn: bits between the first and the second pair of channels of one k in a word of weights.
    """

    bits: int
    pixels: int
    step: int
    turn: int

    @property
    def zero(self) -> int:
        """What makes a weight unsigned."""
        return 1 << self.bits - 1

    @property
    def range(self) -> int:
        """Values of a field."""
        return 1 << self.step

    def max_units(self, max_input: int) -> int:
        """Units whose words add up to less than 2^32."""
        largest = max_input * sum(1 << self.step * p for p in range(self.pixels))
        return (_MAX_WORD_SUM - 1) // (largest * UNIT)


FORM_I4 = Form(4, 2, 14, 8)
FORM_I2 = Form(2, 3, 10, 4)
FORM_I2X4 = Form(2, 4, 7, 2)  # small sums of inputs of 2 bits


@dataclass(frozen=True)
class Division:
    """A window in pieces.

    Attributes:
        chunk: units of a pixel that are prepared together.
        chunks: of a piece.
        sizes: units of each piece.
    """

    chunk: int
    chunks: int
    sizes: tuple[int, ...]


def in_units(weights: np.ndarray) -> np.ndarray:
    """int64 [groups of channels · 4, units of the window, UNIT]: weights [channels, taps, in], padded with zeros."""
    channels, taps, size = weights.shape
    units = -(-size // UNIT)
    padded = np.zeros((-(-channels // 4) * 4, taps, units * UNIT), np.int64)
    padded[:channels, :, :size] = weights
    return padded.reshape(len(padded), taps * units, UNIT)


def divisions(rows: int, columns: int, units: int) -> Iterator[Division]:
    """Windows of so many pixels and units in ever more pieces: whole rows, whole pixels, parts of a pixel."""
    for count in range(rows, 0, -1):
        yield _division(rows, columns, units, columns * units, count)
    for count in range(rows * columns - 1, 0, -1):
        yield _division(rows, columns, units, units, count)
    for parts in range(2, units + 1):
        yield _division(rows, columns, units, -(-units // parts), 1)


def _division(rows: int, columns: int, units: int, chunk: int, chunks: int) -> Division:
    if chunk == columns * units:
        calls = [chunk] * rows
    else:
        calls = [min(chunk, units - first) for first in range(0, units, chunk)] * (rows * columns)
    sizes = [sum(calls[start : start + chunks]) for start in range(0, len(calls), chunks)]
    return Division(chunk, chunks, tuple(sizes))


def start_of(weights: np.ndarray, sizes: Sequence[int], max_input: int, form: Form) -> int | None:
    """D with 0 <= D + Σ a·w < 2^step for every channel and piece; None where there is none.

    Args:
        weights: of :func:`in_units`.
    """
    first, below, above = 0, 0, 0
    for size in sizes:
        piece = weights[:, first : first + size].reshape(len(weights), -1)
        below = max(below, max_input * int(np.maximum(-piece, 0).sum(axis=1).max()))
        above = max(above, max_input * int(np.maximum(piece, 0).sum(axis=1).max()))
        first += size
    return below if below + above < form.range else None


def find_division(weights: np.ndarray, kernel: Size, max_input: int, form: Form) -> tuple[Division, int] | None:
    """The fewest pieces that fit into fields, and their D; None where a unit alone does not.

    Args:
        weights: of :func:`in_units`.
    """
    units = weights.shape[1] // (kernel.h * kernel.w)
    best = None
    for division in divisions(kernel.h, kernel.w, units):
        if max(division.sizes) > form.max_units(max_input) or (best and len(best[0].sizes) <= len(division.sizes)):
            continue
        start = start_of(weights, division.sizes, max_input, form)
        if start is not None:
            best = division, start
    return best


def store(weights: np.ndarray, sizes: Sequence[int], form: Form) -> np.ndarray:
    """int32: for each piece [groups][units][words], as ``qmcu_outer_tile_t`` has them.

    Args:
        weights: of :func:`in_units`.
    """
    groups = len(weights) // 4
    unsigned = (weights + form.zero).astype(np.uint32)
    # [groups, pair, channel of the pair, units, k] -> [groups, units, k, pair, channel of the pair]
    ordered = unsigned.reshape(groups, 2, 2, *weights.shape[1:]).transpose(0, 3, 4, 1, 2)
    pairs = (ordered[..., 0] | _turned(ordered[..., 1], np.uint32(form.pixels * form.step))).astype(np.uint32)
    per_word = 16 // form.bits
    turns = (np.arange(per_word // 2)[:, None] * 4 * form.bits + (0, form.turn)).reshape(-1).astype(np.uint32)
    words = np.bitwise_or.reduce(_turned(pairs.reshape(groups, weights.shape[1], -1, per_word), turns), axis=-1)
    ends = np.cumsum(sizes)
    pieces = [words[:, end - size : end].reshape(-1) for size, end in zip(sizes, ends, strict=True)]
    return np.concatenate(pieces).astype(np.uint32).view(np.int32)


def _turned(values: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """uint32 rotated to the left."""
    wide = values.astype(np.uint64) << bits.astype(np.uint64)
    return (wide | wide >> np.uint64(32)).astype(np.uint32)


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a channel makes of its fields.

    Attributes:
        fields: int64, from the least that the channel has to the largest.
        values: int64, the outputs.
        scale: of a sum.
        high: of the output's type.
    """

    fields: np.ndarray
    values: np.ndarray
    scale: float
    high: int


def outputs(weights: np.ndarray, requant: Requant, bias: np.ndarray, max_input: int, start: int) -> Iterator[Outputs]:
    """Of every channel, for every sum that inputs from 0 to ``max_input`` can have.

    Args:
        weights: of :func:`in_units`.
        bias: int64 [channels], of raw inputs.
        start: what the fields are more than the sums.
    """
    multiplier = np.broadcast_to(requant.multiplier, len(bias))
    shift = np.broadcast_to(requant.shift, len(bias))
    for channel, of_channel in enumerate(bias):
        low = max_input * int(np.minimum(weights[channel], 0).sum())
        high = max_input * int(np.maximum(weights[channel], 0).sum())
        sums = np.arange(low, high + 1)
        only = slice(channel, channel + 1)
        alone = replace(requant, bias=of_channel[None], multiplier=multiplier[only], shift=shift[only])
        scale = float(multiplier[channel]) * 2.0 ** (float(shift[channel]) - 31)
        yield Outputs(sums + start, alone.apply(sums[:, None])[:, 0].astype(np.int64), scale, requant.dtype.high)


def limits(weights: np.ndarray, channels: int, max_input: int) -> tuple[np.ndarray, np.ndarray]:
    """int64 [channels] each: the least and the largest sum.

    Args:
        weights: of :func:`in_units`.
    """
    low, high = (max_input * limit(weights[:channels], 0).sum(axis=(1, 2)) for limit in (np.minimum, np.maximum))
    return low, high


def without_constant_channels(
    weights: np.ndarray, requant: Requant, bias: np.ndarray, max_input: int
) -> tuple[np.ndarray, np.ndarray]:
    """The weights and the bias with zeros for the weights of channels whose output is the same for all inputs.

    Their bias becomes a small one with the same output, where there is one.

    Args:
        weights: of :func:`in_units`.
        bias: int64 [channels], of raw inputs.
    """
    low, high = limits(weights, len(bias), max_input)
    ends = requant.apply(np.stack([low, high]) + (bias - requant.bias))  # which adds its own bias
    is_constant = ends[0] == ends[1]
    kept = weights.copy()
    kept[: len(bias)][is_constant] = 0
    scale = requant.multiplier * 2.0 ** (requant.shift - 31.0)
    small = np.rint((ends[0].astype(np.float64) - requant.zero_point) / np.maximum(scale, 2.0**-40)).astype(np.int64)
    is_same = (np.abs(small) <= np.abs(bias + low)) & (requant.apply((small - requant.bias)[None])[0] == ends[0])
    return kept, np.where(is_constant, np.where(is_same, small, bias + low), bias)


def lines(channels: Sequence[Outputs], count: int, form: Form) -> np.ndarray | None:
    """int32 [count, 2] of ``QMCU_OUTER_LINES``, tried on every field that a channel has; zeros after the last channel.

    None where a channel has none: halves of negative sums go the other way, which makes steps of different lengths.
    """
    return _lines_with(channels, count, _LINE_SHIFTS[form.pixels])


def steep_lines(channels: Sequence[Outputs], count: int, form: Form) -> np.ndarray | None:
    """The same of ``QMCU_OUTER_STEEP``; None where no channel needs them, too."""
    is_steep = form is FORM_I4 and any(channel.scale >= _STEEP for channel in channels)
    return _lines_with(channels, count, _STEEP_SHIFT, are_halves=True) if is_steep else None


def _lines_with(channels: Sequence[Outputs], count: int, shift: int, *, are_halves: bool = False) -> np.ndarray | None:
    result = np.zeros((count, 2), np.int64)
    for row, channel in zip(result, channels, strict=False):
        line = _line(channel, (0, channel.high), shift, are_halves=are_halves)
        if line is None:
            return None
        row[:] = line
    return result.astype(np.int32)


def any_lines(channels: Sequence[Outputs], limits: tuple[int, int], raised: int) -> tuple[np.ndarray, np.ndarray]:
    """Lines as ``QMCU_OUTER_LANES`` and ``QMCU_OUTER_BYTES`` have them, int32 [channels, 3]; which channels have one.

    Args:
        limits: of the outputs, which the kernel applies to what lines give.
        raised: what lines give is so much more than the outputs.
    """
    least, most = (each + raised for each in limits)
    result, is_found = np.zeros((len(channels), 3), np.int64), np.zeros(len(channels), bool)
    for index, channel in enumerate(channels):
        shift = min(_MOST_SHIFT, 15 - math.frexp(channel.scale)[1])  # scale < 2^exponent: multipliers are below 2^31
        higher = replace(channel, values=channel.values + raised)
        line = _line(higher, (least, most), shift, are_halves=True) if shift > 0 else None
        if line is not None:
            result[index], is_found[index] = (*line, shift), True
    return result.astype(np.int32), is_found


def _line(channel: Outputs, limits: tuple[int, int], shift: int, *, are_halves: bool = False) -> tuple[int, int] | None:
    """(multiplier, offset) that give the outputs of all fields.

    Args:
        limits: of outputs, which the kernel applies to what the line gives.
        are_halves: outputs must be halfwords before they are limited; and the kernel has another way, which saves long
            searches.
    """
    middle = round(channel.scale * 2.0 ** (16 + shift))
    spread = middle / (2 * max(1, len(channel.fields)))
    for turn in _TURNS:
        multiplier = middle + round(turn * spread)
        if 0 <= multiplier < 1 << 31:
            offset, excess = _offset(channel, limits, multiplier, shift)
            if offset is not None and (not are_halves or _are_halves(channel, multiplier, offset, shift)):
                return multiplier, offset
            if are_halves and turn == 0 and excess > multiplier >> 17:  # half a step of sums: slopes hardly mend that
                return None
    return None


def _are_halves(channel: Outputs, multiplier: int, offset: int, shift: int) -> bool:
    ends = (multiplier * channel.fields[[0, -1]] >> 16) + offset >> shift
    return bool(np.abs(ends).max() < 1 << 15)


def _offset(channel: Outputs, limits: tuple[int, int], multiplier: int, shift: int) -> tuple[int | None, int]:
    """The offset of a line with this slope, if there is one; by how much outputs contradict one another."""
    fields, values, (least, most) = channel.fields, channel.values, limits
    scaled = (multiplier * fields) >> 16
    # scaled + offset >= value << shift unless it is the least, and < (value + 1) << shift unless it is the highest.
    low = (values << shift) - scaled
    up = low + (1 << shift) - 1
    lowest, highest = int(low[values > least].max(initial=-_FAR)), int(up[values < most].min(initial=_FAR))
    if lowest == -_FAR or highest == _FAR:  # one limit alone: as close to it as to others
        offset = highest - (1 << shift - 1) if highest < _FAR else lowest + (1 << shift - 1)
    else:
        offset = (lowest + highest) // 2
    moved = scaled + offset
    fits = lowest <= highest and abs(moved).max() < 1 << 31
    is_line = fits and np.array_equal(np.clip(moved >> shift, least, most), values)
    return (offset if is_line else None), lowest - highest


def steps(channels: Iterable[Outputs], count: int, form: Form) -> np.ndarray | None:
    """int32 [count, 3] of ``QMCU_OUTER_STEPS``; None where a channel's fields lie too far apart."""
    half = form.range // 2
    replicated = sum(1 << form.step * p for p in range(form.pixels))
    result = np.zeros((count, 3), np.int64)
    for row, channel in zip(result, channels, strict=False):
        least, most = int(channel.fields[0]), int(channel.fields[-1])
        for step in range(3):
            first = int(channel.fields[channel.values > step].min(initial=most + 1))
            if least + half - first < 0 or most + half - first >= form.range:
                return None
            row[step] = (half - first) * replicated
    return (result & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
