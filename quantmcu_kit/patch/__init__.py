"""Which parts of a network run patch by patch, on which grids, and what patches keep for one another."""

from quantmcu_kit.patch.choose import Choice, choose
from quantmcu_kit.patch.cost import Costs, NodeCost
from quantmcu_kit.patch.lay_out import lay_out

__all__ = ["Choice", "Costs", "NodeCost", "choose", "lay_out"]
