"""AVERAGE_POOL_2D: mean of each window's pixels within the image. Integer rule: scale and zero-point kept.

Integer semantics: TFLite ``reference/integer_ops/pooling.h`` (int8: halves away from zero) and
``reference/pooling.h`` (legacy uint8: halves up).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, Size
from quantmcu_kit.ops import pooling
from quantmcu_kit.ops.pooling import Pool
from quantmcu_kit.ops.spec import Inputs, KernelCall, Operator, OpSpec, OutputQuant, Shape

_UINT8_OFFSET = 128  # int8 values plus this are the legacy uint8 values


@dataclass(frozen=True)
class Attrs:
    """Window geometry, the fused activation, and whether halves are rounded as for unsigned values (legacy uint8)."""

    pool: Pool
    activation: Activation
    is_uint8: bool


@dataclass(frozen=True)
class Params:
    """Integer parameters.

    Attributes:
        offset: added to each value before the rounded division and taken off afterwards: 128 makes legacy uint8
            values of them, whose halves go up; 0 leaves halves going away from zero.
    """

    pooling: pooling.Params
    offset: int


def decode(operator: Operator, inputs: Inputs, outputs: tuple[Tensor, ...]) -> Attrs:
    """Attributes of a .tflite AVERAGE_POOL_2D."""
    return Attrs(*pooling.decode(operator, inputs), operator.is_uint8)


def infer(attrs: Attrs, x: Tensor) -> Shape:
    """[n, h, w, c] -> [n, h', w', c]."""
    return pooling.infer(attrs.pool, x)


def float_ref(attrs: Attrs, x: np.ndarray) -> np.ndarray:
    """float32 mean."""
    sums = pooling.reduce_windows(attrs.pool, x.astype(np.float32), np.add, 0)
    counts = pooling.window_counts(attrs.pool, Size(*x.shape[1:3]))
    return np.clip(sums / counts, *attrs.activation.bounds).astype(np.float32)


def prepare(attrs: Attrs, inputs: Inputs, output: Tensor) -> Params:
    """Integer parameters from quantized tensors."""
    offset = _UINT8_OFFSET if attrs.is_uint8 else 0
    return Params(pooling.prepare(attrs.pool, attrs.activation, inputs, output), offset)


def int_ref(params: Params, x: np.ndarray) -> np.ndarray:
    """int8 [n, h, w, c] -> int8 [n, h', w', c], exact."""
    pool = params.pooling.pool
    counts = pooling.window_counts(pool, Size(*x.shape[1:3]))
    sums = pooling.reduce_windows(pool, x.astype(np.int32), np.add, 0) + params.offset * counts
    means = np.sign(sums) * ((np.abs(sums) + counts // 2) // counts) - params.offset
    return np.clip(means, params.pooling.low, params.pooling.high).astype(np.int8)


def sums(attrs: Attrs, inputs: Inputs, output: Tensor) -> int:
    """One per channel where a single window is the whole map."""
    _, h, w, channels = inputs[0].shape
    is_global = attrs.pool.window == Size(h, w) and attrs.pool.padding.is_zero and output.elements == channels
    return channels if is_global else 0


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_average_pool_2d``."""
    return (KernelCall("average_pool_2d", (*params.pooling.fields(), ("offset", params.offset))),)


SPEC = OpSpec(
    "AVERAGE_POOL_2D",
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
    sums=sums,
    halo=pooling.halo,
)
