"""Which feature maps and weights get 8, 4 or 2 bits, and which patches stay at 8."""

from quantmcu_kit.search.budget import check_possible
from quantmcu_kit.search.build import Wants, build
from quantmcu_kit.search.entropy import weight_stats, with_entropies
from quantmcu_kit.search.kl import with_divergences
from quantmcu_kit.search.problem import Budgets, Problem, Unit
from quantmcu_kit.search.result import SearchResult
from quantmcu_kit.search.strategies import find, names, run, saves_by_budgets
from quantmcu_kit.search.vdqs import Settings

__all__ = [
    "Budgets",
    "Problem",
    "SearchResult",
    "Settings",
    "Unit",
    "Wants",
    "build",
    "check_possible",
    "find",
    "names",
    "run",
    "saves_by_budgets",
    "weight_stats",
    "with_divergences",
    "with_entropies",
]
