"""LOGISTIC: 1 / (1 + exp(-x)).

Integer semantics: TFLite ``activations.cc`` (``SigmoidPrepare``) and ``internal/common.h`` (``LUTPopulate``): the
runtime's own reference kernel is a table computed in float32, reproduced here step by step.
"""

from __future__ import annotations

import numpy as np

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.numerics.fixedpoint import round_half_away
from quantmcu_kit.ops import lookup
from quantmcu_kit.ops.halo import same_place
from quantmcu_kit.ops.probabilities import check_probabilities
from quantmcu_kit.ops.spec import (
    Inputs,
    NoAttrs,
    OpSpec,
    OutputQuant,
    elementwise_cost,
    no_attrs,
    same_shape,
)


def float_ref(attrs: NoAttrs, x: np.ndarray) -> np.ndarray:
    """float32 logistic function; the exponential is rounded once from float64, so that every machine agrees."""
    with np.errstate(over="ignore"):  # exp(-x) = inf stands for a result of 0
        exponential = np.exp(-x.astype(np.float64)).astype(np.float32)
    return np.float32(1) / (np.float32(1) + exponential)


def prepare(attrs: NoAttrs, inputs: Inputs, output: Tensor) -> lookup.Params:
    """The table of results; raises ``bad-quantization`` where TFLite's kernel refuses."""
    check_probabilities("LOGISTIC", output)
    x = inputs[0]
    inverse = np.float32(1) / np.float32(output.quant.s)
    y = float_ref(attrs, x.quant.dequantize(lookup.inputs_of(x.dtype))) * inverse
    rounded = np.array([round_half_away(float(value)) for value in y])
    table = np.clip(rounded + output.quant.z, output.dtype.low, output.dtype.high).astype(output.dtype.numpy)
    return lookup.Params.of(table, x, output)


SPEC = OpSpec(
    "LOGISTIC",
    NoAttrs,
    no_attrs,
    same_shape,
    float_ref,
    prepare,
    lookup.int_ref,
    elementwise_cost,
    lookup.emit,
    output_quant=OutputQuant.UNIT,
    in_place=True,
    halo=same_place,
)
