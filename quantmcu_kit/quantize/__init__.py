"""Float graph and statistics -> integer graph: the only place where scales are chosen."""

from quantmcu_kit.quantize.adjust import Adjustments, NodeAdjustment, adjustments_of
from quantmcu_kit.quantize.apply import Settings, apply, apply_classes
from quantmcu_kit.quantize.equalize import Equalized, equalize
from quantmcu_kit.quantize.feedback import feed_back
from quantmcu_kit.quantize.patch_classes import PatchClasses, quantized

__all__ = [
    "Adjustments",
    "Equalized",
    "NodeAdjustment",
    "PatchClasses",
    "Settings",
    "adjustments_of",
    "apply",
    "apply_classes",
    "equalize",
    "feed_back",
    "quantized",
]
