"""Depthwise 3x3 convolution of maps of 4 and 2 bits by products of polynomials: kernels/depthwise_poly.c.

A word holds three or four neighbours of a row, another one three weights; their product has the sums of as many
windows. Outputs, of any width, are clamped at the ends of their type, and one line requantizes them (``lines``).
"""

from __future__ import annotations

import numpy as np

from quantmcu_kit.ir.types import Size
from quantmcu_kit.numerics.packing import packed_bytes
from quantmcu_kit.ops.convolution import Params
from quantmcu_kit.ops.geometry import map_fields
from quantmcu_kit.ops.spec import KernelCall
from quantmcu_kit.ops.variants import lines
from quantmcu_kit.ops.variants.depthwise_planes import is_plain, stored_weights, strip_columns
from quantmcu_kit.ops.variants.variant import Variant

_BLOCK, _CHANNEL_WORDS, _SLOTS, _STAGED = 8, 9, 4, 16  # core/poly.h
_PIXELS = {4: 3, 2: 4}  # qmcu_poly_pixels, by bits of the input
_WIDTH = {4: 10, 2: 8}  # qmcu_poly_width
_MOST_WEIGHT = 8  # so that the words of the weights fit
_SPARE = 15  # SPARE of depthwise_poly.c
_BEFORE = 2  # outputs before those of a strip
_MOST_COLUMNS = 64  # of a strip


def supports(params: Params) -> bool:
    """Whether the kernel runs this convolution: its shapes, and its bounds with these weights."""
    bits = params.in_dtype.bits
    is_three = params.kernel == Size(3, 3) and params.attrs.stride == Size(1, 1)
    if bits not in _PIXELS or not is_three or not is_plain(params):
        return False
    return packed_bytes(params.in_shape[3], bits) >= bits and _lanes(params) is not None


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_depthwise_poly``."""
    pixels = _PIXELS[params.in_dtype.bits]
    strip = strip_columns(max(params.out_size.w, params.out_size.h), _MOST_COLUMNS)  # the kernel may turn the map
    words = -(-(strip + _BEFORE) // pixels)
    fields = (
        ("in", map_fields(params.in_shape[1:], params.in_dtype)),
        ("out", map_fields(params.out_shape[1:], params.requant.dtype)),
        ("pad", (("top", params.attrs.padding.top), ("left", params.attrs.padding.left))),
        ("in_zero", params.in_zero),
        ("weight_bits", params.weights.dtype.bits),
        ("strip", strip),
        ("weights", stored_weights(params)),
        ("lanes", _lanes(params)),
    )
    scratch = 4 * _BLOCK * (_CHANNEL_WORDS + _SLOTS * words + _SPARE) + _STAGED * pixels * words
    return (KernelCall("depthwise_poly", fields, scratch_bytes=scratch),)


def _lanes(params: Params) -> np.ndarray | None:
    """int32 [channels, 3]: offset, multiplier, addend; None where sums leave their field or no line is exact.

    A field holds Σx·w + offset: with offset = max(x)·Σ|negative w| it is never negative, whatever is left out of a
    window, and less than 2^width.
    """
    weights, bits = params.weights, params.in_dtype.bits
    channels = params.out_shape[3]
    taps = weights.values.astype(np.int64).reshape(-1, channels)
    offset = -params.in_dtype.high * np.minimum(taps, 0).sum(axis=0)
    most = offset + params.in_dtype.high * np.maximum(taps, 0).sum(axis=0)
    if np.abs(taps).max(initial=0) > _MOST_WEIGHT or most.max() >= 1 << _WIDTH[bits]:
        return None
    bias = weights.fold_zero_points(params.requant.bias, params.in_zero)
    found = lines.of_fields(params.requant, offset - bias.astype(np.int64), most)
    return None if found is None else np.concatenate([offset[:, None], found], axis=1).astype(np.int32)


VARIANT = Variant("depthwise_poly", ("DEPTHWISE_CONV_2D",), supports, emit)
