"""RELU, and the rules of its bounded forms RELU6 and RELU_N1_TO_1: a clamp of real values.

Integer semantics: TFLite ``activations.cc`` ``QuantizedReluX``: requantization, then a clamp of the integers.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation
from quantmcu_kit.ops import lookup
from quantmcu_kit.ops.halo import same_place
from quantmcu_kit.ops.requantize import clamp_range
from quantmcu_kit.ops.spec import Inputs, NoAttrs, OpSpec, elementwise_cost, no_attrs, same_shape


def _float_ref(activation: Activation, attrs: NoAttrs, x: np.ndarray) -> np.ndarray:
    return np.clip(x, *activation.bounds).astype(np.float32)


def _prepare(activation: Activation, attrs: NoAttrs, inputs: Inputs, output: Tensor) -> lookup.Params:
    x = inputs[0]
    ratio = float(np.float32(x.quant.s) / np.float32(output.quant.s))  # TFLite divides in float32 here
    low, high = clamp_range(activation, output.quant, output.dtype)
    table = lookup.requantize_table(x, output, ratio, low, high)
    return lookup.Params.of(table, x, output)


def clamp_spec(name: str, activation: Activation) -> OpSpec:
    """The rules of the operator ``name`` that clamps to the bounds of ``activation``."""
    return OpSpec(
        name,
        NoAttrs,
        no_attrs,
        same_shape,
        partial(_float_ref, activation),
        partial(_prepare, activation),
        lookup.int_ref,
        elementwise_cost,
        lookup.emit,
        in_place=True,
        halo=same_place,
    )


SPEC = clamp_spec("RELU", Activation.RELU)
