"""SOFTMAX over the last axis: exp(beta · x) / Σ exp(beta · x).

Integer semantics: TFLite ``reference/softmax.h`` with the parameters of ``PreprocessSoftmaxScaling``. int8 input makes
exp(x - max) a function of at most 256 differences: a table. Legacy uint8 gives the same bytes, shifted by 128. Below 8
bits the output is rounded to its own number of bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tflite

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import DType
from quantmcu_kit.numerics.fixedpoint import doubling_high_mul, quantize_multiplier, rounding_shift_right
from quantmcu_kit.numerics.gemmlowp import EXP_INTEGER_BITS, exp_on_negative_values, reciprocal
from quantmcu_kit.ops.halo import same_place
from quantmcu_kit.ops.probabilities import check_probabilities
from quantmcu_kit.ops.spec import (
    Inputs,
    KernelCall,
    Operator,
    OpSpec,
    OutputQuant,
    elementwise_cost,
    same_shape,
)

_SUM_INTEGER_BITS = 12  # each exponential is at most 2^19 in Q12.19
_MAX_DEPTH = 4095  # 4095 · 2^19 < 2^31
_MAX_EXPONENT = 31  # results shifted further are 0


@dataclass(frozen=True)
class Attrs:
    """Factor of the input."""

    beta: float


@dataclass(frozen=True, eq=False)
class Params:
    """exp(-d · scale · beta), Q0.31 int32, for d = 0, 1, ...; 0 beyond the end. The map is rows × depth."""

    exponentials: np.ndarray
    rows: int
    depth: int
    in_dtype: DType
    out_dtype: DType


def decode(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> Attrs:
    """Attributes of a .tflite SOFTMAX."""
    return Attrs(float(operator.options(tflite.SoftmaxOptions).Beta()))


def float_ref(attrs: Attrs, x: np.ndarray) -> np.ndarray:
    """float32 softmax over the last axis."""
    exponentials = np.exp((x - x.max(axis=-1, keepdims=True)) * np.float32(attrs.beta))
    return (exponentials / exponentials.sum(axis=-1, keepdims=True)).astype(np.float32)


def _exponentials(scale: float, beta: float) -> np.ndarray:
    """The table of :class:`Params`: differences beyond Q5.26 count as infinite (TFLite's diff_min)."""
    real = min(beta * scale * 2.0 ** (31 - EXP_INTEGER_BITS), 2.0**31 - 1)
    multiplier, shift = quantize_multiplier(real)
    radius = (((1 << EXP_INTEGER_BITS) - 1) << (31 - EXP_INTEGER_BITS)) >> shift
    differences = -np.arange(min(radius, 255) + 1, dtype=np.int64)
    table = exp_on_negative_values(doubling_high_mul(differences << shift, np.int64(multiplier)))
    return np.trim_zeros(table, "b").astype(np.int32)


def prepare(attrs: Attrs, inputs: Inputs, output: Tensor) -> Params:
    """The table of exponentials; raises ``bad-quantization`` where TFLite's kernel would refuse or abort."""
    check_probabilities("SOFTMAX", output)
    x = inputs[0]
    _check_scale(attrs.beta, x)
    depth = output.shape[-1]
    exponentials = _exponentials(float(x.quant.s), attrs.beta)
    return Params(exponentials, output.elements // depth, depth, x.dtype, output.dtype)


def _check_scale(beta: float, x: Tensor) -> None:
    smallest = 2.0 ** (EXP_INTEGER_BITS - 31)
    if not beta * float(x.quant.s) > smallest:
        raise QmkitError(
            "bad-quantization",
            f"SOFTMAX of {x.name!r} multiplies by beta {beta:g} and scale {float(x.quant.s):g}",
            why=f"the fixed-point exponential needs a product of more than {smallest:g}",
            hint="quantize the network again on representative pictures",
        )


def int_ref(params: Params, x: np.ndarray) -> np.ndarray:
    """A map [..., depth] -> the same shape, exact."""
    difference = x.max(axis=-1, keepdims=True).astype(np.int64) - x
    table = np.zeros(256, np.int64)
    table[: len(params.exponentials)] = params.exponentials
    exponentials = table[difference]
    total = rounding_shift_right(exponentials, _SUM_INTEGER_BITS).sum(axis=-1, keepdims=True)
    scale, bits = reciprocal(total, _SUM_INTEGER_BITS)
    exponent = bits + 31 - params.out_dtype.bits
    y = rounding_shift_right(doubling_high_mul(scale, exponentials), np.minimum(exponent, _MAX_EXPONENT))
    y = np.where(exponent > _MAX_EXPONENT, 0, y)
    return np.minimum(y + params.out_dtype.low, params.out_dtype.high).astype(params.out_dtype.numpy)


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_softmax``."""
    fields = (
        ("rows", params.rows),
        ("depth", params.depth),
        ("count", len(params.exponentials)),
        ("exponentials", params.exponentials),
        ("in_bits", params.in_dtype.bits),
        ("out_bits", params.out_dtype.bits),
    )
    return (KernelCall("softmax", fields),)


def sum_fits(attrs: Attrs, x: Tensor) -> bool:
    """The last axis must not be longer than 4095: the sum of the exponentials is a 32-bit integer."""
    return x.shape[-1] <= _MAX_DEPTH


SPEC = OpSpec(
    "SOFTMAX",
    Attrs,
    decode,
    same_shape,
    float_ref,
    prepare,
    int_ref,
    elementwise_cost,
    emit,
    constraints=(sum_fits,),
    output_quant=OutputQuant.UNIT,
    in_place=True,
    halo=same_place,
)
