"""Whether widths meet the budgets, and what they overrun where they do not."""

from __future__ import annotations

from collections.abc import Sequence

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.search.budget import too_tight
from quantmcu_kit.search.problem import CostFunction, Problem, bitops


def cost_limits(problem: Problem) -> list[tuple[str, CostFunction, float]]:
    """The budgets that are sums over works: name, cost, limit."""
    limits = [("bitops", bitops, problem.budgets.bitops), ("cycles", problem.cycles, problem.budgets.cycles)]
    return [(name, cost, limit) for name, cost, limit in limits if cost is not None and limit is not None]


def meets(problem: Problem, bits: Sequence[int]) -> bool:
    """Whether widths meet every budget; the exact arena, which takes longest, is looked at last."""
    budgets = problem.budgets
    if any(problem.total(cost, bits) > limit for _, cost, limit in cost_limits(problem)):
        return False
    if budgets.flash_bytes is not None and problem.flash_bytes(bits) > budgets.flash_bytes:
        return False
    limit = budgets.ram_bytes
    if limit is None:
        return True
    return all(each.bytes(bits) <= limit for each in problem.neighbours) and problem.ram_bytes(tuple(bits)) <= limit


def ram_reached(problem: Problem, bits: Sequence[int]) -> int:
    """Bytes of the exact arena where it is known, and of the hungriest neighbours, whichever is more."""
    return max((problem.ram_bytes(tuple(bits)), *(each.bytes(bits) for each in problem.neighbours)))


def refusal(problem: Problem, bits: Sequence[int]) -> QmkitError:
    """The error of a search that gets no further than ``bits``, which overrun a budget."""
    budgets = problem.budgets
    if budgets.ram_bytes is not None and (reached := ram_reached(problem, bits)) > budgets.ram_bytes:
        worst = max(problem.neighbours, key=lambda each: each.bytes(bits), default=None)
        return too_tight(budgets, "ram_bytes", reached, where=worst.place if worst else "", is_least=False)
    if budgets.flash_bytes is not None and (reached := problem.flash_bytes(bits)) > budgets.flash_bytes:
        return too_tight(budgets, "flash_bytes", reached, is_least=False)
    name, cost, _ = next(each for each in cost_limits(problem) if problem.total(each[1], bits) > each[2])
    return too_tight(budgets, name, problem.total(cost, bits), is_least=False)
