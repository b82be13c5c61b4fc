"""The precision of a network, found by measurement: what each width loses, and the search over them."""

from quantmcu_kit.precision.cost import check_budgets, count_bitops, count_cost
from quantmcu_kit.precision.find import Attempt, Mix, find_precision, sensitivity_of
from quantmcu_kit.precision.sensitivity import PICTURES, Sensitivity
from quantmcu_kit.precision.settings import PROXIES, RULES, VDPC, Settings

__all__ = [
    "PICTURES",
    "PROXIES",
    "RULES",
    "VDPC",
    "Attempt",
    "Mix",
    "Sensitivity",
    "Settings",
    "check_budgets",
    "count_bitops",
    "count_cost",
    "find_precision",
    "sensitivity_of",
]
