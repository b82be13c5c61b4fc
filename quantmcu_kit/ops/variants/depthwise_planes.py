"""Depthwise convolution on planes of 16-bit lanes: kernels/depthwise_planes.c.

Each input row is widened once, two rows at a time, and two weights multiply two values at a time. Maps and weights of
any width; no dilation, one output channel for each of the input.
"""

from __future__ import annotations

import numpy as np

from quantmcu_kit.numerics.packing import pack, packed_bytes
from quantmcu_kit.ops.convolution import Params
from quantmcu_kit.ops.geometry import map_fields
from quantmcu_kit.ops.requantize import Rounding
from quantmcu_kit.ops.spec import KernelCall
from quantmcu_kit.ops.variants import lanes, lines
from quantmcu_kit.ops.variants.variant import Variant

_BLOCK = 4  # QMCU_BLOCK of core/planes.h: channels of a block
_LINE, _TWICE = 0, 1  # QMCU_LINE, QMCU_TWICE
_MOST_LANE, _MOST_FACTOR = (1 << 15) - 1, 1 << 14
_COLUMN_PAIRS = 4  # QMCU_COLUMN_PAIRS
_SPARE = 15  # SPARE of depthwise_planes.c
_MOST_TAPS = 128  # MOST_TAPS: of a window with three more rows
_MOST_COLUMNS = 64  # of a strip: more would take scratch and save little


def is_plain(params: Params) -> bool:
    """Whether every output channel has an input channel of its own, without dilation or weights with a zero-point."""
    attrs, kernel = params.attrs, params.kernel
    return (
        params.in_shape[3] == params.out_shape[3]
        and max(attrs.dilation.h, attrs.dilation.w) == 1
        and attrs.stride.h <= kernel.h
        and attrs.stride.w <= kernel.w
        and params.weights.zero_point == 0
        and params.requant.rounding is Rounding.TWICE
    )


def strip_columns(width: int, most: int) -> int:
    """Columns of a strip such that as few strips as possible, all about as wide, cover a row."""
    strips = -(-width // most)
    return -(-width // strips)


def supports(params: Params) -> bool:
    """Whether the kernel runs this convolution: its shapes, and its bounds with these weights."""
    channels, bits, kernel = params.in_shape[3], params.in_dtype.bits, params.kernel
    fits = packed_bytes(channels, bits) * 8 >= _BLOCK * bits and (kernel.h + 3) * kernel.w <= _MOST_TAPS
    return is_plain(params) and fits and _arranged(params) is not None


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_depthwise_planes``."""
    form, constants = _arranged(params)
    attrs, kernel, requant = params.attrs, params.kernel, params.requant
    held, rows = _held(params)
    strip = strip_columns(_longest_row(params), _MOST_COLUMNS // attrs.stride.w if rows > 1 else _MOST_COLUMNS)
    fields = (
        ("in", map_fields(params.in_shape[1:], params.in_dtype)),
        ("out", map_fields(params.out_shape[1:], requant.dtype)),
        ("kernel", (("h", kernel.h), ("w", kernel.w))),
        ("stride", (("h", attrs.stride.h), ("w", attrs.stride.w))),
        ("pad", (("top", attrs.padding.top), ("left", attrs.padding.left))),
        ("in_zero", params.in_zero),
        ("low", requant.low),
        ("high", requant.high),
        ("weight_bits", params.weights.dtype.bits),
        ("form", form),
        ("strip", strip),
        ("weights", stored_weights(params)),
        ("lanes", constants),
    )
    pairs, columns = kernel.h // 2 + 1, (strip - 1) * attrs.stride.w + kernel.w
    words = _BLOCK * (2 * (4 + pairs * kernel.w) + held * columns + _SPARE)
    return (KernelCall("depthwise_planes", fields, scratch_bytes=4 * words + _BLOCK * rows * strip),)


def _held(params: Params) -> tuple[int, int]:
    """Pairs of rows that a column holds, and rows of outputs that are computed together."""
    kernel, stride = params.kernel, params.attrs.stride
    if kernel.w == 3 and kernel.h in (2, 3) and stride.h == stride.w <= 2:
        return _COLUMN_PAIRS, (2 * _COLUMN_PAIRS - 2) // stride.h
    return kernel.h // 2 + 1, 1


def _longest_row(params: Params) -> int:
    """Outputs of a row; of a column where the kernel may turn the map."""
    can_turn = params.kernel.h == params.kernel.w and params.attrs.stride.h == params.attrs.stride.w
    return max(params.out_size.w, params.out_size.h if can_turn else 0)


def stored_weights(params: Params) -> np.ndarray:
    """int8 [channels, bytes of a channel's taps], rows of the kernel one after another."""
    weights = params.weights
    rows = np.ascontiguousarray(weights.values.reshape(-1, params.out_shape[3]).T)
    return pack(rows, weights.dtype.bits).view(np.int8) if weights.dtype.is_packed else rows


def _arranged(params: Params) -> tuple[int, np.ndarray] | None:
    """(form, int32 [channels, 4]) of the requantization, or None where it has neither form."""
    weights, requant = params.weights, params.requant
    bias = weights.fold_zero_points(requant.bias, params.in_zero)
    bounds = lanes.accumulator_bounds(weights, requant)
    raw = weights.magnitude * max(abs(params.in_dtype.low), params.in_dtype.high)  # of sums of x·w
    largest = np.abs(weights.values.astype(np.int64)).reshape(-1, len(bias)).max(axis=0)
    line = lines.arrange(requant, bias, bounds, raw, np.minimum(_MOST_FACTOR, _MOST_LANE // np.maximum(largest, 1)))
    if line is not None:
        return _LINE, line
    gain = lanes.gains(requant)
    factor = 2 << gain
    reach = (raw + np.abs(bias.astype(np.int64))) << gain
    if np.any(factor * largest > _MOST_LANE) or np.any(reach >= 1 << 30):
        return None
    higher = lanes.enlarged_requant(requant, gain)
    twice = lanes.arrange(higher, bias.astype(np.int64) << gain, bounds << gain, has_sign=True, reach=reach)
    if twice is None:
        return None
    twice[:, 3] += factor << 8
    return _TWICE, twice


VARIANT = Variant("depthwise_planes", ("DEPTHWISE_CONV_2D",), supports, emit)
