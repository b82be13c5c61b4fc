"""What RESHAPE and SQUEEZE share: the output is input 0's bytes under another shape.

Below 8 bits, where each run of the last axis begins in its own byte (``numerics.packing``), elements may have to move.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ops.carry import Carry, carry
from quantmcu_kit.ops.spec import Cost, Inputs, KernelCall, Shape


def with_shape(x: np.ndarray, shape: Shape) -> np.ndarray:
    """x with the axes of ``shape`` after the first, which takes what is left: 1 for one picture, n for a batch."""
    return x.reshape((-1, *shape[1:]) if shape else ())


@dataclass(frozen=True, eq=False)
class Params:
    """Shapes of input and output, and what becomes of a value: nothing, unless the width changes."""

    in_shape: Shape
    shape: Shape
    carry: Carry

    @property
    def is_alias(self) -> bool:
        """Whether every element lies in the same bits of memory under both shapes."""
        if self.carry.table is not None or self.carry.in_dtype is not self.carry.out_dtype:
            return False
        bits, runs = self.carry.in_dtype.bits, (self.in_shape[-1], self.shape[-1])
        return runs[0] == runs[1] or all(run * bits % 8 == 0 for run in runs)


def prepare(attrs: Any, inputs: Inputs, output: Tensor) -> Params:
    """Both shapes, and both widths."""
    return Params(inputs[0].shape, output.shape, carry(inputs[0], output))


def int_ref(params: Params, x: np.ndarray, *_constants: np.ndarray | None) -> np.ndarray:
    """A map [n, ...] under the new shape."""
    return with_shape(params.carry.apply(x), params.shape)


def cost(attrs: Any, inputs: Inputs, output: Tensor) -> Cost:
    """Nothing is moved, as a rule."""
    return Cost(macs=0, bytes_read=0, bytes_written=0)


def emit(params: Params) -> tuple[KernelCall, ...]:
    """No kernel runs, or one ``qmcu_reshape`` where elements must move."""
    if params.is_alias:
        return ()
    fields = (
        ("count", math.prod(params.shape)),
        ("in_channels", params.in_shape[-1]),
        ("out_channels", params.shape[-1]),
        *params.carry.bits_fields,
        params.carry.table_field,
    )
    return (KernelCall("reshape", fields),)
