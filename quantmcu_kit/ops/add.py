"""ADD, and the integer rules that SUB shares: both operands brought to one scale, added, requantized.

Integer semantics: TFLite ``reference/add.h`` and ``reference/sub.h``, parameters of ``add.cc``: values are scaled up
by 2^20, so that bringing them to twice the larger of the two scales loses nothing that int8 could show.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import tflite

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import DType
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
from quantmcu_kit.ops.lookup import check_ratio, inputs_of
from quantmcu_kit.ops.requantize import clamp_range
from quantmcu_kit.ops.spec import Inputs, KernelCall, OpSpec, elementwise_cost

_HEADROOM_BITS = 20  # |q - zero_point| <= 255, so an operand stays below 2^28 and a sum below 2^29
_MAX_RATIO = 1 - 2.0**-31  # then the output's shift is not positive, as the kernel requires


@dataclass(frozen=True)
class Addend:
    """An operand's zero-point, and multiplier and shift to the common scale; the shift is not positive."""

    zero_point: int
    multiplier: int
    shift: int
    dtype: DType

    def scaled(self) -> np.ndarray:
        """int64 [256, 16 or 4]: every value on the common scale, in the order of a lookup table."""
        x = (inputs_of(self.dtype).astype(np.int64) - self.zero_point) << _HEADROOM_BITS
        return multiply_by_quantized_multiplier(x, self.multiplier, self.shift)

    @property
    def fields(self) -> tuple[tuple[str, int], ...]:
        """The C struct ``qmcu_addend_t``."""
        return (("multiplier", self.multiplier), ("shift", self.shift), ("zero_point", self.zero_point))


@dataclass(frozen=True)
class Params:
    """y = clamp(zero_point + round((a + sign · b) · multiplier · 2^(shift - 31)), low, high)."""

    layout: Layout
    a: Addend
    b: Addend
    sign: int
    multiplier: int
    shift: int
    zero_point: int
    low: int
    high: int
    scalar: Scalar | None


def prepare(sign: int, attrs: Attrs, inputs: Inputs, output: Tensor) -> Params:
    """Integer parameters from quantized tensors; ``sign`` is 1 for a + b and -1 for a - b."""
    a, b = (float(tensor.quant.s) for tensor in inputs)
    common = 2 * max(a, b)
    ratio = common / ((1 << _HEADROOM_BITS) * float(output.quant.s))
    check_ratio(ratio, _MAX_RATIO, output)
    addends = (
        Addend(tensor.quant.z, *quantize_multiplier(scale / common), tensor.dtype)
        for tensor, scale in zip(inputs, (a, b), strict=True)
    )
    low, high = clamp_range(attrs.activation, output.quant, output.dtype)
    return Params(
        layout(inputs, output),
        *addends,
        sign,
        *quantize_multiplier(ratio),
        output.quant.z,
        low,
        high,
        constant_scalar(inputs),
    )


def int_ref(params: Params, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Operands that broadcast to one another -> the output, exact."""
    total = params.a.scaled()[a.view(np.uint8)] + params.sign * params.b.scaled()[b.view(np.uint8)]
    y = multiply_by_quantized_multiplier(total, params.multiplier, params.shift) + params.zero_point
    return np.clip(y, params.low, params.high).astype(params.layout.dtypes[-1].numpy)


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_add``, or a table where one operand is a constant scalar."""
    scaling = (
        ("a", params.a.fields),
        ("b", params.b.fields),
        ("multiplier", params.multiplier),
        ("shift", params.shift),
        ("sign", params.sign),
        ("zero_point", params.zero_point),
        ("low", params.low),
        ("high", params.high),
    )
    return kernel_calls("add", int_ref, params, scaling)


def float_ref(attrs: Attrs, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float32 a + b, clamped by the activation."""
    return clamped(attrs, a + b)


SPEC = OpSpec(
    "ADD",
    Attrs,
    decoder(tflite.AddOptions),
    infer,
    float_ref,
    partial(prepare, 1),
    int_ref,
    elementwise_cost,
    emit,
    constraints=CONSTRAINTS,
    in_place=True,
    halo=same_place,
)
