"""What operators on single values share: a table of all results, computed once, and the kernel ``lookup``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import DType
from quantmcu_kit.numerics.fixedpoint import multiply_by_quantized_multiplier, quantize_multiplier
from quantmcu_kit.ops.spec import KernelCall

INPUTS = np.arange(256, dtype=np.uint8).view(np.int8)  # every int8 value, in the order of a table's entries
_MAX_RATIO = 2.0**22  # then the shift is at most 23, and |q - zero_point| · 2^23 <= 255 · 2^23 < 2^31


@dataclass(frozen=True, eq=False)
class Params:
    """Results [256, 16 or 4], entry i for the input whose bits are i; values of the map, and of each of its pixels."""

    table: np.ndarray
    count: int
    channels: int
    in_dtype: DType = DType.I8
    out_dtype: DType = DType.I8

    @staticmethod
    def of(table: np.ndarray, x: Tensor, output: Tensor) -> Params:
        """For the map ``x``."""
        return Params(table, output.elements, output.shape[-1], x.dtype, output.dtype)


def inputs_of(dtype: DType) -> np.ndarray:
    """Every value of a map of 8, 4 or 2 bits, in the order of a table's entries."""
    return INPUTS if dtype is DType.I8 else np.arange(1 << dtype.bits, dtype=dtype.numpy)


def int_ref(params: Params, x: np.ndarray) -> np.ndarray:
    """A map [n, ...] -> the results, of the same shape."""
    return params.table[x.view(np.uint8)]


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_lookup``."""
    return (table_call(params, 0),)


def table_call(params: Params, argument: int) -> KernelCall:
    """``qmcu_lookup`` of input number ``argument``."""
    fields = (
        ("count", params.count),
        ("channels", params.channels),
        ("in_bits", params.in_dtype.bits),
        ("out_bits", params.out_dtype.bits),
        ("table", c_table(params.table)),
    )
    return KernelCall("lookup", fields, (argument,))


def c_table(table: np.ndarray | None) -> np.ndarray | None:
    """A table as kernels hold it: in an int8 array, whatever the width of its entries."""
    return None if table is None else table.view(np.int8)


def check_ratio(ratio: float, limit: float, output: Tensor) -> None:
    """Raise ``bad-quantization`` when the output's scale is so small that rescaling by ``ratio`` overflows 32 bits."""
    if not ratio < limit:
        raise QmkitError(
            "bad-quantization",
            f"{output.name!r} has a scale of {float(output.quant.s):g}, far below that of what it is computed from",
            why=f"values would be multiplied by {ratio:g}; the 32-bit kernels allow less than {limit:g}",
            hint="quantize the network again on representative pictures; such a map is constant on the ones used",
        )


def requantize_table(x: Tensor, output: Tensor, ratio: float, low: int, high: int) -> np.ndarray:
    """clamp(Zo + round((q - Zx) · ratio), low, high) for every q, with TFLite's two roundings.

    Args:
        ratio: scale of x / scale of the output, in the precision of the operator.
    """
    check_ratio(ratio, _MAX_RATIO, output)
    multiplier, shift = quantize_multiplier(ratio)
    rescaled = multiply_by_quantized_multiplier(inputs_of(x.dtype).astype(np.int64) - x.quant.z, multiplier, shift)
    return np.clip(rescaled + output.quant.z, low, high).astype(output.dtype.numpy)
