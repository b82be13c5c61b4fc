"""QUANTIZE: the same real values under another scale, zero-point or width. Floats are quantized by the network's ports.

Integer semantics: TFLite ``reference/requantize.h``, and the same between maps of 8, 4 and 2 bits. The change from
uint8 to int8 happened at import.
"""

from __future__ import annotations

import numpy as np

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ops import lookup
from quantmcu_kit.ops.halo import same_place
from quantmcu_kit.ops.spec import Inputs, NoAttrs, OpSpec, elementwise_cost, no_attrs, same_shape


def float_ref(attrs: NoAttrs, x: np.ndarray) -> np.ndarray:
    """The real values as they are."""
    return x.astype(np.float32)


def prepare(attrs: NoAttrs, inputs: Inputs, output: Tensor) -> lookup.Params:
    """The table of requantized values."""
    x = inputs[0]
    ratio = float(x.quant.s) / float(output.quant.s)
    table = lookup.requantize_table(x, output, ratio, output.dtype.low, output.dtype.high)
    return lookup.Params.of(table, x, output)


SPEC = OpSpec(
    "QUANTIZE",
    NoAttrs,
    no_attrs,
    same_shape,
    float_ref,
    prepare,
    lookup.int_ref,
    elementwise_cost,
    lookup.emit,
    in_place=True,
    halo=same_place,
)
