"""FULLY_CONNECTED below 8 bits, two output channels in a lane: ``kernels/fully_connected_fields.c``.

What must fit is told in ``core/field_rows.h``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ops.fully_connected import Params
from quantmcu_kit.ops.spec import KernelCall
from quantmcu_kit.ops.variants import lanes
from quantmcu_kit.ops.variants.variant import Variant
from quantmcu_kit.ops.weighted import Weights

UNIT = 8  # values that become words together
GROUP = 8  # output channels of a group
FEW = 4  # of the last one, where eight are too many
FIELD = 1 << 12  # a segment's sums of even channels
TOTAL = 1 << 16  # all their sums
ODD = 1 << 19  # sums of odd channels are less
MAX_UNITS = 1024  # of a segment
_ZERO = 8  # what makes the weights of even channels unsigned
_WORD_BYTES = 4
_HEAD_WORDS = 4  # at the beginning and the end of a column
_ORDER = (1, 3, 0, 2)  # of the lanes of four channels


@dataclass(frozen=True)
class Segments:
    """How a row is divided.

    Attributes:
        units: of a segment.
        start: D with 0 <= D + Σ w·x < FIELD for every even channel and segment.
        total: what makes their sums over the whole row 0 or more.
        count: of segments.
    """

    units: int
    start: int
    total: int
    count: int


def padded(values: np.ndarray) -> np.ndarray:
    """int32 [channels of whole groups, units of a row · UNIT] of weights [out, in], with zeros."""
    out, taps = values.shape
    return np.pad(values.astype(np.int32), ((0, -out % FEW), (0, -taps % UNIT)))


def find_segments(values: np.ndarray, max_input: int) -> Segments | None:
    """The fewest segments whose sums fit, and what sums begin with; None where the sums over a row do not fit.

    Args:
        values: of :func:`padded`.
    """
    magnitude = max_input * np.abs(values).sum(axis=1, dtype=np.int64)
    below, above = (max_input * _by_unit(limit(values, 0)) for limit in (np.minimum, np.maximum))
    total = int(-below[::2].sum(axis=1).min())
    if magnitude.max() >= ODD or total + int(above[::2].sum(axis=1).max()) >= TOTAL:
        return None
    units = below.shape[1]
    for count in range(-(-units // MAX_UNITS), units + 1):
        size = -(-units // count)
        starts = np.arange(0, units, size)
        start = int(-np.add.reduceat(below[::2], starts, axis=1).min())
        if start + int(np.add.reduceat(above[::2], starts, axis=1).max()) < FIELD:
            return Segments(size, start, total, len(starts))
    raise AssertionError("a unit is at most 15 · 8 · 8 < FIELD / 2 either way")


def _by_unit(values: np.ndarray) -> np.ndarray:
    """int64 [channels, units]: sums."""
    return values.reshape(len(values), -1, UNIT).sum(axis=2, dtype=np.int64)


def nested(values: np.ndarray) -> np.ndarray:
    """int32, flat: weights as ``qmcu_field_rows_t`` has them.

    Args:
        values: of :func:`padded`.
    """
    channels = len(values)
    # [fours, channel, units, half, word] -> [fours, units, word, channel, half]: the two lanes of a word
    lanes_of = values.reshape(channels // FEW, FEW, -1, 2, UNIT // 2).transpose(0, 2, 4, 1, 3)
    even, odd = lanes_of[..., ::2, :] + _ZERO, lanes_of[..., 1::2, :]
    both = (even & 0xF | (odd & 0xF) << 12).astype(np.uint32)  # [..., accumulator, lane]
    words = both[..., 0] | both[..., 1] << np.uint32(16)
    words = words[..., 0] | words[..., 1] << np.uint32(8) | words[..., 1] >> np.uint32(24)
    words = words.reshape(len(words), -1)  # [fours, words of a row]
    whole = groups_of(channels) * (GROUP // FEW)
    groups = words[:whole].reshape(-1, GROUP // FEW, words.shape[1]).swapaxes(1, 2)
    return np.concatenate([groups.reshape(-1), words[whole:].reshape(-1)]).view(np.int32)


def groups_of(channels: int) -> int:
    """Groups of eight channels; four more may lie behind them."""
    return channels // GROUP


def _lanes(params: Params, segments: Segments) -> np.ndarray | None:
    """int32 [channels of whole groups, LANE_WORDS], in the kernel's order; None where there is no such form."""
    weights, requant = params.weights, params.requant
    bias = weights.fold_zero_points(requant.bias, params.in_zero).astype(np.int64)
    bias[::2] -= segments.total
    found = lanes.arrange(requant, bias, lanes.accumulator_bounds(weights, requant))
    if found is None:
        return None
    whole = np.pad(found, ((0, -len(found) % FEW), (0, 0)))
    return whole.reshape(-1, FEW, lanes.LANE_WORDS)[:, _ORDER].reshape(-1, lanes.LANE_WORDS)


def is_dense(params: Params) -> bool:
    """Whether rows begin in bytes of their own, and values follow one another without a gap."""
    channels, bits, taps = params.in_shape[-1], params.in_dtype.bits, params.weights.values.shape[1]
    return channels == taps or (channels * bits % 8 == 0 and taps * bits % 8 == 0)


def _segments(params: Params) -> Segments | None:
    weights: Weights = params.weights
    if not (weights.dtype.is_packed and params.in_dtype.is_packed) or weights.zero_point != 0 or not is_dense(params):
        return None
    return find_segments(padded(weights.values), weights.max_input)


def supports(params: Params) -> bool:
    """Whether inputs and weights are below 8 bits, and sums and requantization within what the kernel's fields hold."""
    params = lanes.enlarged(params, -_ZERO, _ZERO - 1)
    segments = _segments(params)
    return segments is not None and _lanes(params, segments) is not None


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_fully_connected_fields``."""
    params = lanes.enlarged(params, -_ZERO, _ZERO - 1)
    requant, segments = params.requant, _segments(params)
    assert segments is not None, "supports() is asked before"
    out, taps = params.weights.values.shape
    values = padded(params.weights.values)
    # Totals are those of all segments, of which each has D more; 16 bits.
    total = (segments.total - segments.count * segments.start) % TOTAL
    words = _HEAD_WORDS + 2 * segments.count + values.shape[1] // 2
    fields = (
        ("rows", params.rows),
        ("in", taps),
        ("out", out),
        ("in_bits", params.in_dtype.bits),
        ("out_bits", requant.dtype.bits),
        ("low", requant.low),
        ("high", requant.high),
        ("segment", segments.units),
        ("start", segments.start),
        ("total", total),
        ("weights", nested(values)),
        ("lanes", _lanes(params, segments)),
    )
    return (KernelCall("fully_connected_fields", fields, scratch_bytes=len(values) + _WORD_BYTES * words),)


VARIANT = Variant("fully_connected_fields", ("FULLY_CONNECTED",), supports, emit)
