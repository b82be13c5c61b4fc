"""What RESHAPE and SQUEEZE share: the output is input 0's bytes under another shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ops.spec import Cost, Inputs, KernelCall, Shape


def with_shape(x: np.ndarray, shape: Shape) -> np.ndarray:
    """x with the axes of ``shape`` after the first, which takes what is left: 1 for one picture, n for a batch."""
    return x.reshape((-1, *shape[1:]) if shape else ())


def prepare(attrs: Any, inputs: Inputs, output: Tensor) -> Shape:
    """The output's shape: nothing is computed."""
    return output.shape


def int_ref(shape: Shape, x: np.ndarray, *_constants: np.ndarray | None) -> np.ndarray:
    """int8 [n, ...] under the new shape."""
    return with_shape(x, shape)


def cost(attrs: Any, inputs: Inputs, output: Tensor) -> Cost:
    """Nothing is moved."""
    return Cost(macs=0, bytes_read=0, bytes_written=0)


def emit(shape: Shape) -> tuple[KernelCall, ...]:
    """No kernel runs."""
    return ()
