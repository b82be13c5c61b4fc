"""Float graph and statistics -> integer graph: the only place where scales are chosen."""

from quantmcu_kit.quantize.apply import Settings, apply, apply_classes

__all__ = ["Settings", "apply", "apply_classes"]
