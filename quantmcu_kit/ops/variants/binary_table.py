"""ADD, SUB and MUL of two packed maps of one shape, by a table of all pairs of values: ``kernels/binary_table.c``."""

from __future__ import annotations

import numpy as np

from quantmcu_kit.ops import add, lookup, mul
from quantmcu_kit.ops.spec import KernelCall
from quantmcu_kit.ops.variants.variant import Variant

Params = add.Params | mul.Params

_PLACES = 16  # entries between values of the second operand
_WIDEST = 4  # bits of an operand


def supports(params: Params) -> bool:
    """Whether both operands are maps below 8 bits, of one shape."""
    walk = params.layout
    return params.scalar is None and walk.rows == 1 and max(walk.bits[:2]) <= _WIDEST


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_binary_table``."""
    walk = params.layout
    a_bits, b_bits, out_bits = walk.bits
    together = 2 if a_bits == b_bits == 2 and out_bits < 8 else 1
    rule = (
        ("table", lookup.c_table(_table(params, together))),
        ("a_bits", a_bits * together),
        ("b_bits", b_bits * together),
        ("entry_bits", out_bits * together),
    )
    fields = (
        ("pixels", walk.columns // walk.channels),
        ("channels", walk.channels),
        ("a_bits", a_bits),
        ("b_bits", b_bits),
        ("out_bits", out_bits),
        ("together", together),
        ("rule", rule),
    )
    return (KernelCall("binary_table", fields, (0, 1)),)


def _table(params: Params, together: int) -> np.ndarray:
    """Entries [16 or 4 values of b, 16 values of a], flat."""
    a, b = (lookup.inputs_of(dtype) for dtype in params.layout.dtypes[:2])
    int_ref = mul.int_ref if isinstance(params, mul.Params) else add.int_ref
    results = int_ref(params, a[np.newaxis], b[:, np.newaxis])  # [b, a]
    if together == 1:
        return np.pad(results, ((0, 0), (0, _PLACES - len(a)))).ravel()
    pairs = np.arange(_PLACES)
    first, second = (results[np.ix_(pairs >> place & 3, pairs >> place & 3)] for place in (0, 2))
    return (first | second << params.layout.bits[2]).ravel()


VARIANT = Variant("binary_table", ("ADD", "SUB", "MUL"), supports, emit)
