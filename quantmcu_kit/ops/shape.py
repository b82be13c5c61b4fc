"""SHAPE: the sizes of a tensor's axes, known at build time."""

from __future__ import annotations

import numpy as np

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ops.spec import NoAttrs, OpSpec, Shape, no_attrs


def infer(attrs: NoAttrs, x: Tensor) -> Shape:
    """[rank]."""
    return (len(x.shape),)


def float_ref(attrs: NoAttrs, x: np.ndarray) -> np.ndarray:
    """int32 [rank]."""
    return np.array(x.shape, np.int32)


SPEC = OpSpec("SHAPE", NoAttrs, no_attrs, infer, float_ref)
