"""SUB: a - b, by the integer rules of ADD with the second operand negated after scaling."""

from __future__ import annotations

from functools import partial

import numpy as np
import tflite

from quantmcu_kit.ops.add import emit, int_ref, prepare
from quantmcu_kit.ops.binary import CONSTRAINTS, Attrs, clamped, decoder, infer
from quantmcu_kit.ops.halo import same_place
from quantmcu_kit.ops.spec import OpSpec, elementwise_cost


def float_ref(attrs: Attrs, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float32 a - b, clamped by the activation."""
    return clamped(attrs, a - b)


SPEC = OpSpec(
    "SUB",
    Attrs,
    decoder(tflite.SubOptions),
    infer,
    float_ref,
    partial(prepare, -1),
    int_ref,
    elementwise_cost,
    emit,
    constraints=CONSTRAINTS,
    in_place=True,
    halo=same_place,
)
