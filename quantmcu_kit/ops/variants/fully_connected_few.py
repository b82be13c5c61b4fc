"""FULLY_CONNECTED of 4 or 2 bits with few outputs: ``kernels/fully_connected_few.c``."""

from __future__ import annotations

import numpy as np

from quantmcu_kit.numerics.packing import pack
from quantmcu_kit.ops.fully_connected import Params
from quantmcu_kit.ops.spec import KernelCall
from quantmcu_kit.ops.variants.fully_connected_fields import is_dense
from quantmcu_kit.ops.variants.variant import Variant

_BITS = 4  # of stored weights
# Which of the values that a word holds meets each weight that is stored for them.
_ORDER = {4: (0, 1, 2, 3, 4, 5, 6, 7), 2: (0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15)}
_SUM = 1 << 19  # dot_nibbles.c holds sums times 2^12


def supports(params: Params) -> bool:
    """Whether inputs have 4 or 2 bits, weights no more than 4, and sums of products fit."""
    weights = params.weights
    if (
        params.in_dtype.bits not in _ORDER
        or not weights.dtype.is_packed
        or weights.zero_point != 0
        or not is_dense(params)
    ):
        return False
    magnitude = weights.max_input * np.abs(weights.values.astype(np.int64)).sum(axis=1)
    return bool(magnitude.size) and int(magnitude.max()) < _SUM


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_fully_connected_few``."""
    weights, requant = params.weights, params.requant
    out, taps = weights.values.shape
    order = _ORDER[params.in_dtype.bits]
    by_word = np.pad(weights.values, ((0, 0), (0, -taps % len(order)))).reshape(out, -1, len(order))
    fields = (
        ("rows", params.rows),
        ("in", taps),
        ("out", out),
        ("in_bits", params.in_dtype.bits),
        ("out_bits", requant.dtype.bits),
        ("weights", pack(by_word[..., order].reshape(out, -1), _BITS).view(np.int8)),
        ("requant", requant.fields(weights.fold_zero_points(requant.bias, params.in_zero))),
    )
    return (KernelCall("fully_connected_few", fields),)


VARIANT = Variant("fully_connected_few", ("FULLY_CONNECTED",), supports, emit)
