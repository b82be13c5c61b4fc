"""AVERAGE_POOL_2D: mean of each window's pixels within the image. Integer rule: scale and zero-point kept.

Integer semantics: TFLite ``reference/integer_ops/pooling.h`` (int8: halves away from zero) and
``reference/pooling.h`` (legacy uint8: halves up). Where the output has another width than the input, the sum of centred
values is requantized by the rule of MEAN, with a multiplier for each number of pixels that a window may hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, DType, Size
from quantmcu_kit.numerics.fixedpoint import multiply_by_quantized_multiplier
from quantmcu_kit.ops import pooling
from quantmcu_kit.ops.pooling import Pool
from quantmcu_kit.ops.requantize import check_accumulator, divided_multiplier, map_span
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
        rescale: for an output of another width or quantization, else None.
    """

    pooling: pooling.Params
    offset: int
    rescale: Rescale | None


@dataclass(frozen=True, eq=False)
class Rescale:
    """y = out_zero + round(Σ(x - in_zero) · multiplier · 2^(shift - 31)).

    Attributes:
        by_count: multiplier and shift by the number of pixels in a window.
        multiplier, shift: int64 [h', w', 1], as the windows' pixels are counted.
    """

    in_zero: int
    out_zero: int
    by_count: Mapping[int, tuple[int, int]]
    multiplier: np.ndarray
    shift: np.ndarray

    def apply(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Means, not clamped, of ``sums`` of ``counts`` values."""
        centred = sums - self.in_zero * counts
        return multiply_by_quantized_multiplier(centred, self.multiplier, self.shift) + self.out_zero

    @property
    def scales(self) -> np.ndarray:
        """int32 [numbers of pixels, 3]: the number, multiplier, shift; full windows, the most frequent ones, first."""
        return np.array([(count, *self.by_count[count]) for count in sorted(self.by_count, reverse=True)], np.int32)


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
    return Params(
        pooling.prepare(attrs.pool, attrs.activation, inputs, output), offset, _rescale(attrs.pool, inputs[0], output)
    )


def _rescale(pool: Pool, x: Tensor, output: Tensor) -> Rescale | None:
    """None where the quantization stays; between 8-bit maps TFLite's kernel takes it to stay."""
    if x.dtype is output.dtype and (x.dtype is DType.I8 or x.quant.same_as(output.quant)):
        return None
    counts = pooling.window_counts(pool, Size(*x.shape[1:3]))
    ratio = float(x.quant.s) / float(output.quant.s)
    by_count = {int(count): divided_multiplier(ratio, int(count)) for count in np.unique(counts)}
    multiplier, shift = (np.vectorize(lambda n, i=i: by_count[n][i], otypes=[np.int64])(counts) for i in (0, 1))
    check_accumulator(map_span(x.dtype) * counts, shift, output)
    return Rescale(x.quant.z, output.quant.z, by_count, multiplier, shift)


def int_ref(params: Params, x: np.ndarray) -> np.ndarray:
    """A map [n, h, w, c] -> [n, h', w', c], exact."""
    rules = params.pooling
    counts = pooling.window_counts(rules.pool, Size(*x.shape[1:3]))
    sums = pooling.reduce_windows(rules.pool, x.astype(np.int32), np.add, 0)
    if params.rescale is None:
        shifted = sums + params.offset * counts
        means = np.sign(shifted) * ((np.abs(shifted) + counts // 2) // counts) - params.offset
    else:
        means = params.rescale.apply(sums, counts)
    return np.clip(means, rules.low, rules.high).astype(rules.out_dtype.numpy)


def sums(attrs: Attrs, inputs: Inputs, output: Tensor) -> int:
    """One per channel where a single window is the whole map."""
    _, h, w, channels = inputs[0].shape
    is_global = attrs.pool.window == Size(h, w) and attrs.pool.padding.is_zero and output.elements == channels
    return channels if is_global else 0


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_average_pool_2d``."""
    rules, rescale = params.pooling, params.rescale
    fields = (
        *rules.fields(),
        ("low", rules.low),
        ("high", rules.high),
        ("offset", params.offset),
        ("scales", rescale and rescale.scales),
        ("in_zero", rescale.in_zero if rescale else 0),
        ("out_zero", rescale.out_zero if rescale else 0),
    )
    return (KernelCall("average_pool_2d", fields),)


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
    writes_apart=True,
    halo=pooling.halo,
)
