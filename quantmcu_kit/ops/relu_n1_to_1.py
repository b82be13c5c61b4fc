"""RELU_N1_TO_1: clamp of real values to [-1, 1]."""

from quantmcu_kit.ir.types import Activation
from quantmcu_kit.ops.relu import clamp_spec

SPEC = clamp_spec("RELU_N1_TO_1", Activation.RELU_N1_TO_1)
