"""FULLY_CONNECTED with weights of two or four outputs nested: ``kernels/fully_connected_pairs.c``."""

from __future__ import annotations

from quantmcu_kit.ops.fully_connected import Params
from quantmcu_kit.ops.spec import KernelCall
from quantmcu_kit.ops.variants import lanes, pairs
from quantmcu_kit.ops.variants.variant import Variant

_WORD_BYTES = 4


def _nest(params: Params) -> int | None:
    """8 bits for few outputs that fours do not divide: less work, and not much flash."""
    nest, out = pairs.nest_of(params.weights), params.weights.values.shape[0]
    is_small = out < 2 * pairs.ROW_GROUP and out % pairs.ROW_GROUP in (1, 2)
    return 8 if nest == 4 and is_small and pairs.fits(params.weights, 8) else nest


def supports(params: Params) -> bool:
    """Whether sums of nested outputs can be told apart, and requantization has the form of ``qmcu_lane_t``."""
    params = lanes.enlarged(params)
    return _nest(params) is not None and lanes.of_layer(params) is not None


def scratch_bytes(params: Params) -> int:
    """A column, the outputs of whole groups, and a row of values that are packed in the input."""
    out, taps = params.weights.values.shape
    words = pairs.ROW_HEAD_WORDS + pairs.row_words(taps)
    outputs = pairs.row_channels(out, _nest(params))
    return _WORD_BYTES * words + outputs + (taps if params.in_dtype.is_packed else 0)


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_fully_connected_pairs``."""
    params = lanes.enlarged(params)
    requant, nest = params.requant, _nest(params)
    out, taps = params.weights.values.shape
    fields = (
        ("rows", params.rows),
        ("in", taps),
        ("out", out),
        ("channels", params.in_shape[-1]),
        ("in_bits", params.in_dtype.bits),
        ("out_bits", requant.dtype.bits),
        ("low", requant.low),
        ("high", requant.high),
        ("nest", nest),
        ("weights", pairs.nested_rows(params.weights, nest)),
        ("lanes", pairs.padded(lanes.of_layer(params), pairs.row_channels(out, nest))),
    )
    return (KernelCall("fully_connected_pairs", fields, scratch_bytes=scratch_bytes(params)),)


VARIANT = Variant("fully_connected_pairs", ("FULLY_CONNECTED",), supports, emit)
