"""MAX_POOL_2D: maximum of each window's pixels within the image. Integer rule: scale and zero-point kept.

Integer semantics: TFLite ``reference/integer_ops/pooling.h``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation
from quantmcu_kit.ops import pooling
from quantmcu_kit.ops.pooling import Params, Pool
from quantmcu_kit.ops.requantize import INT8_MIN
from quantmcu_kit.ops.spec import Inputs, KernelCall, Operator, OpSpec, OutputQuant, Shape


@dataclass(frozen=True)
class Attrs:
    """Window geometry and the fused activation."""

    pool: Pool
    activation: Activation


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
    return pooling.prepare(attrs.pool, attrs.activation, inputs, output)


def int_ref(params: Params, x: np.ndarray) -> np.ndarray:
    """int8 [n, h, w, c] -> int8 [n, h', w', c], exact."""
    return np.clip(pooling.reduce_windows(params.pool, x, np.maximum, INT8_MIN), params.low, params.high)


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_max_pool_2d``."""
    return (KernelCall("max_pool_2d", params.fields()),)


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
    halo=pooling.halo,
)
