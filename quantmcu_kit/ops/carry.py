"""What operators share that move or compare values: their output may have another width or quantization."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import DType
from quantmcu_kit.ops.lookup import c_table, requantize_table


@dataclass(frozen=True, eq=False)
class Carry:
    """How a value of the input becomes one of the output.

    Attributes:
        table: the output's value by the bits of the input's; None keeps values as they are.
    """

    in_dtype: DType
    out_dtype: DType
    table: np.ndarray | None

    def apply(self, x: np.ndarray) -> np.ndarray:
        """The input's values as the output has them."""
        return x if self.table is None else self.table[x.view(np.uint8)]

    @property
    def table_field(self) -> tuple[str, np.ndarray | None]:
        """The field ``table`` of a kernel's struct."""
        return ("table", c_table(self.table))

    @property
    def bits_fields(self) -> tuple[tuple[str, int], ...]:
        """The fields ``in_bits`` and ``out_bits``, for structs without shapes."""
        return (("in_bits", self.in_dtype.bits), ("out_bits", self.out_dtype.bits))


def carry(x: Tensor, output: Tensor) -> Carry:
    """From the width and quantization of ``x`` to those of ``output``, by the rule of QUANTIZE.

    8-bit values stay as they are on the way to 8 bits: TFLite's kernels take both quantizations to be the same.
    """
    both = x.dtype, output.dtype
    return Carry(*both, None) if both == (DType.I8, DType.I8) else requantization(x, output)


def requantization(x: Tensor, output: Tensor) -> Carry:
    """The same for values of any width, those of 8 bits included."""
    both = x.dtype, output.dtype
    if x.dtype is output.dtype and x.quant.same_as(output.quant):
        return Carry(*both, None)
    ratio = float(x.quant.s) / float(output.quant.s)
    return Carry(*both, requantize_table(x, output, ratio, output.dtype.low, output.dtype.high))
