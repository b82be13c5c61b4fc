"""MUL: a · b, one requantization of the product.

Integer semantics: TFLite ``reference/integer_ops/mul.h``, parameters of ``mul.cc``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tflite

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.numerics.fixedpoint import multiply_by_quantized_multiplier, quantize_multiplier
from quantmcu_kit.ops.binary import (
    CONSTRAINTS,
    Attrs,
    Layout,
    Scalar,
    clamped,
    constant_scalar,
    decoder,
    infer,
    kernel_calls,
    layout,
)
from quantmcu_kit.ops.halo import same_place
from quantmcu_kit.ops.lookup import check_ratio
from quantmcu_kit.ops.requantize import clamp_range
from quantmcu_kit.ops.spec import Inputs, KernelCall, OpSpec, elementwise_cost

_MAX_RATIO = 2.0**14  # then the shift is at most 15, and |product| · 2^15 <= 255 · 255 · 2^15 < 2^31


@dataclass(frozen=True)
class Params:
    """y = clamp(zero_point + round((a - a_zero)(b - b_zero) · multiplier · 2^(shift - 31)), low, high)."""

    layout: Layout
    a_zero: int
    b_zero: int
    multiplier: int
    shift: int
    zero_point: int
    low: int
    high: int
    scalar: Scalar | None


def prepare(attrs: Attrs, inputs: Inputs, output: Tensor) -> Params:
    """Integer parameters from quantized tensors."""
    a, b = inputs
    ratio = float(np.float32(a.quant.s) * np.float32(b.quant.s) / np.float32(output.quant.s))  # float32, as TFLite
    check_ratio(ratio, _MAX_RATIO, output)
    return Params(
        layout(inputs, output),
        a.quant.z,
        b.quant.z,
        *quantize_multiplier(ratio),
        output.quant.z,
        *clamp_range(attrs.activation, output.quant, output.dtype),
        constant_scalar(inputs),
    )


def int_ref(params: Params, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Operands that broadcast to one another -> the output, exact."""
    product = (a.astype(np.int64) - params.a_zero) * (b.astype(np.int64) - params.b_zero)
    y = multiply_by_quantized_multiplier(product, params.multiplier, params.shift) + params.zero_point
    return np.clip(y, params.low, params.high).astype(params.layout.dtypes[-1].numpy)


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_mul``, or a table where one operand is a constant scalar."""
    scaling = (
        ("multiplier", params.multiplier),
        ("shift", params.shift),
        ("a_zero", params.a_zero),
        ("b_zero", params.b_zero),
        ("zero_point", params.zero_point),
        ("low", params.low),
        ("high", params.high),
    )
    return kernel_calls("mul", int_ref, params, scaling)


def float_ref(attrs: Attrs, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float32 a · b, clamped by the activation."""
    return clamped(attrs, a * b)


SPEC = OpSpec(
    "MUL",
    Attrs,
    decoder(tflite.MulOptions),
    infer,
    float_ref,
    prepare,
    int_ref,
    elementwise_cost,
    emit,
    constraints=CONSTRAINTS,
    in_place=True,
    halo=same_place,
)
