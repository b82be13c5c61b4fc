"""RELU6: clamp of real values to [0, 6]."""

from quantmcu_kit.ir.types import Activation
from quantmcu_kit.ops.relu import clamp_spec

SPEC = clamp_spec("RELU6", Activation.RELU6)
