"""MAX_POOL_2D: maximum of each window's pixels within the image. Integer rule: scale and zero-point kept; where the
output has another width, the maximum is requantized.

Integer semantics: TFLite ``reference/integer_ops/pooling.h``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation
from quantmcu_kit.ops import pooling
from quantmcu_kit.ops.carry import Carry, carry
from quantmcu_kit.ops.lookup import c_table
from quantmcu_kit.ops.pooling import Pool
from quantmcu_kit.ops.spec import Inputs, KernelCall, Operator, OpSpec, OutputQuant, Shape


@dataclass(frozen=True)
class Attrs:
    """Window geometry and the fused activation."""

    pool: Pool
    activation: Activation


@dataclass(frozen=True, eq=False)
class Params:
    """Integer parameters, and what becomes of a maximum."""

    pooling: pooling.Params
    carry: Carry


def decode(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> Attrs:
    """Attributes of a .tflite MAX_POOL_2D."""
    return Attrs(*pooling.decode(operator, inputs))


def infer(attrs: Attrs, x: Tensor) -> Shape:
    """[n, h, w, c] -> [n, h', w', c]."""
    return pooling.infer(attrs.pool, x)


def float_ref(attrs: Attrs, x: np.ndarray) -> np.ndarray:
    """float32 maximum."""
    maxima = pooling.reduce_windows(attrs.pool, x.astype(np.float32), np.maximum, -np.inf)
    return np.clip(maxima, *attrs.activation.bounds)


def prepare(attrs: Attrs, inputs: Inputs, output: Tensor) -> Params:
    """Integer parameters from quantized tensors."""
    return Params(pooling.prepare(attrs.pool, attrs.activation, inputs, output), carry(inputs[0], output))


def int_ref(params: Params, x: np.ndarray) -> np.ndarray:
    """A map [n, h, w, c] -> [n, h', w', c], exact."""
    rules = params.pooling
    maxima = pooling.reduce_windows(rules.pool, x, np.maximum, rules.in_dtype.low)
    return np.clip(params.carry.apply(maxima), rules.low, rules.high)


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_max_pool_2d``; where there is a table, it has the clamp of the fused activation."""
    rules, table = params.pooling, params.carry.table
    if table is None:
        clamp = rules.low, rules.high
    else:
        clamp = rules.in_dtype.low, rules.in_dtype.high
        table = c_table(np.clip(table, rules.low, rules.high))
    fields = (*rules.fields(), *zip(("low", "high"), clamp, strict=True), ("table", table))
    return (KernelCall("max_pool_2d", fields),)


SPEC = OpSpec(
    "MAX_POOL_2D",
    Attrs,
    decode,
    infer,
    float_ref,
    prepare,
    int_ref,
    pooling.cost,
    emit,
    constraints=(pooling.map_is_4d,),
    output_quant=OutputQuant.SAME,
    writes_apart=True,
    halo=pooling.halo,
)
