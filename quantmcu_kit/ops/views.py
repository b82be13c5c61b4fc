"""What RESHAPE and SQUEEZE share: the output is input 0's bytes under another shape.

Below 8 bits only the elements are the same: each run of the last axis begins in its own byte (``numerics.packing``).
"""

from __future__ import annotations

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
    """The output's shape, and what becomes of a value: nothing, unless the width changes."""

    shape: Shape
    carry: Carry


def prepare(attrs: Any, inputs: Inputs, output: Tensor) -> Params:
    """The output's shape, and its width."""
    return Params(output.shape, carry(inputs[0], output))


def int_ref(params: Params, x: np.ndarray, *_constants: np.ndarray | None) -> np.ndarray:
    """A map [n, ...] under the new shape."""
    return with_shape(params.carry.apply(x), params.shape)


def cost(attrs: Any, inputs: Inputs, output: Tensor) -> Cost:
    """Nothing is moved."""
    return Cost(macs=0, bytes_read=0, bytes_written=0)


def emit(params: Params) -> tuple[KernelCall, ...]:
    """No kernel runs; at 8 bits only."""
    params.carry.refuse_packed("a view")
    return ()
