"""What a network costs in given widths, and whether any widths can meet its budgets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from quantmcu_kit import search
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import PrecisionPlan
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.precision.settings import Settings
from quantmcu_kit.quantize.ties import tie_groups
from quantmcu_kit.search.problem import WIDTHS, CostFunction, bitops


def count_bitops(graph: Graph, schedule: Schedule, precision: PrecisionPlan) -> tuple[int, int]:
    """BitOPs per picture, what patches compute again included: of a plan without branch classes, and of 8 bits.

    Args:
        graph: float or integer.
    """
    plans = precision, PrecisionPlan()
    chosen, int8 = (round(count_cost(graph, schedule, plan, bitops)) for plan in plans)
    return chosen, int8


def count_cost(graph: Graph, schedule: Schedule, precision: PrecisionPlan, cost: CostFunction) -> float:
    """A cost per picture likewise."""
    problem = search.build(graph, tie_groups(graph), schedule, wants=search.Wants(WIDTHS, WIDTHS))
    return problem.total(cost, problem.assignment(precision))


def check_budgets(
    graph: Graph,
    schedule: Schedule,
    settings: Settings,
    budgets: search.Budgets,
    *,
    fixed_flash_bytes: int,
    fixed_bytes: Mapping[str, int],
) -> None:
    """Raise ``infeasible-budget`` where not even the narrowest widths meet a budget."""
    wants = search.Wants(settings.map_widths, settings.weight_widths)
    problem = search.build(graph, tie_groups(graph), schedule, wants=wants, fixed_bytes=fixed_bytes)
    without_cycles = dataclasses.replace(budgets, cycles=None)  # only a search can tell
    search.check_possible(dataclasses.replace(problem, budgets=without_cycles, fixed_flash_bytes=fixed_flash_bytes))
