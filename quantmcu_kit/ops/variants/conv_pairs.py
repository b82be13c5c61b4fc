"""CONV_2D two pixels at a time, weights of two or four output channels nested: ``kernels/conv_pairs.c``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.types import Size
from quantmcu_kit.ops.convolution import Params
from quantmcu_kit.ops.geometry import span
from quantmcu_kit.ops.spec import KernelCall
from quantmcu_kit.ops.variants import lanes, pairs
from quantmcu_kit.ops.variants.variant import Variant

_WORD_BYTES = 4
_ARRANGED = ("weight_zero", "weight_bits", "weights", "requant")  # fields of conv_2d that this kernel has otherwise
_BUFFER_BYTES = 4096  # of the columns of a strip, where one pair of pixels does not need more
_COLUMN_BYTES, _MOST_PAIRS = 1536, 16  # of pairs that one call multiplies
_HELD_PAIRS = 4  # QMCU_HELD_PAIRS of held.h
_MOST_MOVES = 7  # of the buffer from row to row: more take more memory, and less time


@dataclass(frozen=True)
class _Strip:
    """Pairs of pixels beside one another whose windows are held at a time, and how.

    Attributes:
        pairs: 0 where windows are pixels of the input.
        moves: from row to row before the buffer begins anew; without strips, pairs that one call multiplies.
        fresh: rows of a window that the window above does not have.
    """

    params: Params
    nest: int
    pairs: int
    moves: int
    fresh: int

    @property
    def columns(self) -> int:
        """Columns of the input that the windows reach."""
        attrs = self.params.attrs
        reach = span(self.params.kernel.w, attrs.dilation.w)
        return (2 * self.pairs - 1) * attrs.stride.w + reach if self.pairs else 0

    @property
    def is_widened(self) -> bool:
        """Whether columns are held as words of lanes, each beside the one a stride further."""
        return self.pairs > 0 and self.params.in_shape[3] % 4 == 0 and self.params.attrs.dilation.w == 1

    @property
    def buffer_bytes(self) -> int:
        """Of the columns and, at 4 bits, of the sums of their pixels."""
        height, channels = self.params.kernel.h, self.params.in_shape[3]
        if not self.is_widened:
            return (self.columns * height + self.moves * self.fresh) * channels if self.pairs else 0
        pixels = (self.columns - self.params.attrs.stride.w) * height + self.moves * self.fresh
        return _WORD_BYTES * pixels * (channels + (2 if self.nest == 4 else 0))

    @property
    def scratch_bytes(self) -> int:
        """All that the kernel needs."""
        channels, taps = self.params.in_shape[3], self.params.weights.taps
        held = 1 if self.pairs else self.moves
        windows = 0 if self.is_widened else held * 2 * _WORD_BYTES * pairs.run_words(taps) + 2 * taps
        outputs = 1 if pairs.is_direct(self.params) else max(held, _HELD_PAIRS)
        return windows + self.buffer_bytes + self.columns * channels + 2 * outputs * _channels(self.params)


def _strip(params: Params, nest: int) -> _Strip:
    """The widest strip whose buffer is not too large."""
    attrs, kernel = params.attrs, params.kernel
    if kernel == Size(1, 1) and attrs.padding.is_zero:
        return _Strip(params, nest, 0, _pairs_at_a_time(params, nest), 1)
    is_whole, steps = attrs.stride.h % attrs.dilation.h == 0, attrs.stride.h // attrs.dilation.h
    fresh = steps if is_whole and steps < kernel.h else kernel.h
    moves = min(params.out_size.h - 1, _MOST_MOVES) if fresh < kernel.h else 0
    widths = range((params.out_size.w + 1) // 2, 0, -1)
    strips = (_Strip(params, nest, width, moves, fresh) for width in widths)
    return next(strip for strip in strips if strip.buffer_bytes <= _BUFFER_BYTES or strip.pairs == 1)


def _pairs_at_a_time(params: Params, nest: int) -> int:
    """Pairs of pixels that one call multiplies where outputs are lines."""
    if nest < 8 or params.in_dtype.bits < 8 or pairs.lines_of(params) is None:
        return 1
    pair = 2 * _WORD_BYTES * pairs.run_words(params.weights.taps)
    most = min(_COLUMN_BYTES // pair, _COLUMN_BYTES // (2 * _channels(params)))
    return max(1, min(_MOST_PAIRS, most, params.out_size.h * params.out_size.w // 2))


def _channels(params: Params) -> int:
    """Output channels with those that fill the last group up."""
    return -(-params.out_shape[3] // pairs.GROUP) * pairs.GROUP


def supports(params: Params) -> bool:
    """Whether sums of nested channels can be told apart, and requantization has the form of ``qmcu_lane_t``."""
    params = lanes.enlarged(params)
    return pairs.nest_of(params.weights) is not None and lanes.of_layer(params) is not None


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_conv_pairs``."""
    kept = params.fields()
    params = lanes.enlarged(params)
    requant, nest = params.requant, pairs.nest_of(params.weights)
    strip = _strip(params, nest)
    by_columns = np.swapaxes(params.weights.values, 1, 2).reshape(len(params.weights.values), -1)
    fields = (
        *(field for field in kept if field[0] not in _ARRANGED),
        ("low", requant.low),
        ("high", requant.high),
        ("nest", nest),
        ("is_rectified", int(lanes.is_rectified(requant))),
        ("moves", strip.moves),
        ("strip", strip.pairs),
        *pairs.arranged(params, pairs.nested(by_columns, nest), nest),
    )
    return (KernelCall("conv_pairs", fields, scratch_bytes=strip.scratch_bytes),)


VARIANT = Variant("conv_pairs", ("CONV_2D",), supports, emit)
