"""The one plan that a build uses: what the user wishes, within the RAM that there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.errors import EXIT_FAILED, QmkitError
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import ARENA_ALIGNMENT
from quantmcu_kit.ir.schedule import Grid, HaloMode
from quantmcu_kit.patch.cost import Costs
from quantmcu_kit.patch.force import forced_by_file, forced_by_grid
from quantmcu_kit.patch.holder import Holder, holder_of
from quantmcu_kit.patch.plan import Plan, front_of, whole
from quantmcu_kit.patch.plan_file import PlanFile
from quantmcu_kit.patch.ways import MODES, Problem, pareto

OBJECTIVES = ("latency", "ram")


@dataclass(frozen=True)
class Wishes:
    """What the user wants.

    Attributes:
        patches: ``auto``; ``off``: layer by layer; a grid: one patched stretch at the beginning, as long as saves most
            RAM; a plan from a file.
        optimize: ``latency``: least cost within the budget; ``ram``: least RAM within the cost limit.
        ram_bytes: budget of the arena; None: any.
        must_fit: no plan within the budget is an error, not a plan that is flagged.
        cost_limit: where RAM is optimised, most cost as a factor of running layer by layer; None: any.
        halo: the only mode, None: all.
        input: ``arena``: resident; ``rows``: pulled; ``auto``: pulled where nothing else fits.
    """

    patches: str | Grid | PlanFile = "auto"
    optimize: str = "latency"
    ram_bytes: int | None = None
    must_fit: bool = False
    cost_limit: float | None = None
    halo: HaloMode | None = None
    input: str = "auto"


@dataclass(frozen=True)
class Choice:
    """A plan, and what there was to choose from.

    Attributes:
        fits: whether the plan is within the budget.
        whole: the plan that runs layer by layer.
        front: plans of which none is better in both RAM and cost, input resident or not as in ``plan``.
        holder: where the plan does not fit, the layer that takes most RAM.
    """

    plan: Plan
    fits: bool
    whole: Plan
    front: tuple[Plan, ...]
    holder: Holder | None = None


def choose(graph: Graph, costs: Costs | None, wishes: Wishes, *, whole_bytes: Sequence[int] | None = None) -> Choice:
    """The best plan of an integer graph.

    Args:
        costs: multiply-accumulates where none are given.
        whole_bytes: bytes of the arena at each node where it runs layer by layer; by default without joins in place.

    Raises:
        QmkitError: ``bad-patches`` or ``bad-plan``: what is forced cannot be; ``ram-budget``, ``cost-limit``: no plan
            meets the limits.
    """
    problem = Problem.of(graph, costs, whole=whole_bytes)
    layers = Plan((whole(problem, 0, len(graph.nodes)),)) if graph.nodes else Plan(())
    fronts: list[tuple[Plan, ...]] = []
    for is_pulled in _input_ways(wishes):
        if _takes_whole(wishes, layers) and not is_pulled:
            fits = _fits(layers, wishes)
            return Choice(layers, fits, layers, (layers,), None if fits else holder_of(problem, layers))
        front = _front(problem, layers, wishes, is_pulled)
        fronts.append(front)
        plan = _best(_affordable(front, layers, wishes), wishes)
        if plan is not None:
            return Choice(plan, True, layers, front)
    if not any(fronts):
        raise QmkitError(
            "bad-patches",
            "the input cannot come by rows",
            why="that needs a network that begins in patches, and this one cannot",
            hint="leave --input and --patches out",
        )
    front = min((front for front in fronts if front), key=lambda front: front[0].ram_bytes)
    affordable = [plan for each in fronts for plan in _affordable(each, layers, wishes)]
    if not affordable:
        raise _too_costly(fronts, layers, wishes)
    least = min(affordable, key=lambda plan: (plan.ram_bytes, plan.cost))
    if wishes.must_fit:
        raise _over_budget(problem, least, wishes)
    front = next(each for each in fronts if least in each)
    return Choice(least, False, layers, front, holder_of(problem, least))


def _input_ways(wishes: Wishes) -> tuple[bool, ...]:
    """Whether the input is pulled: what to try, one after the other."""
    wanted = wishes.input
    if isinstance(wishes.patches, PlanFile) and wanted == "auto":
        wanted = wishes.patches.input
    if wishes.patches == "off":
        if wanted == "rows":
            raise QmkitError(
                "bad-patches",
                "the input cannot come by rows where nothing runs in patches",
                why="a layer that runs whole reads its input more than once",
                hint="leave --patches off out, or --input rows",
            )
        return (False,)
    return {"arena": (False,), "rows": (True,)}.get(wanted, (False, True))


def _takes_whole(wishes: Wishes, layers: Plan) -> bool:
    """Whether running layer by layer is the answer: patches cost calls and copies, even where no work is done twice."""
    if wishes.patches == "off":
        return not wishes.must_fit or _fits(layers, wishes)
    return wishes.patches == "auto" and wishes.optimize == "latency" and _fits(layers, wishes)


def _front(problem: Problem, layers: Plan, wishes: Wishes, is_pulled: bool) -> tuple[Plan, ...]:
    modes = MODES if wishes.halo is None else (wishes.halo,)
    if wishes.patches == "off":
        return (layers,)
    if isinstance(wishes.patches, Grid):
        return _unbeaten(forced_by_grid(problem, wishes.patches, modes, is_pulled))
    if isinstance(wishes.patches, PlanFile):
        plan = forced_by_file(problem, wishes.patches, is_pulled)
        return (plan,) if plan else ()
    return front_of(problem, pull_input=is_pulled, modes=modes)


def _unbeaten(plans: Sequence[Plan]) -> tuple[Plan, ...]:
    order = pareto(np.array([plan.ram_bytes for plan in plans]), np.array([plan.cost for plan in plans]))
    return tuple(plans[index] for index in order)


def arena_bytes(plan: Plan) -> int:
    """Bytes of the arena that a plan needs, if its blocks can be placed without gaps."""
    return -(-plan.ram_bytes // ARENA_ALIGNMENT) * ARENA_ALIGNMENT


def _fits(plan: Plan, wishes: Wishes) -> bool:
    return wishes.ram_bytes is None or arena_bytes(plan) <= wishes.ram_bytes


def _affordable(front: Sequence[Plan], layers: Plan, wishes: Wishes) -> list[Plan]:
    """Plans within the cost limit. Sums of fractions may differ in their last bits."""
    if wishes.optimize != "ram" or wishes.cost_limit is None:
        return list(front)
    return [plan for plan in front if plan.cost <= wishes.cost_limit * layers.cost * (1 + 1e-12)]


def _best(plans: Sequence[Plan], wishes: Wishes) -> Plan | None:
    """Of plans within the budget, the one of least cost or least RAM; a forced grid is there to save RAM."""
    fitting = [plan for plan in plans if _fits(plan, wishes)]
    if wishes.optimize == "ram" or isinstance(wishes.patches, Grid):
        return min(fitting, key=lambda plan: (plan.ram_bytes, plan.cost), default=None)
    return min(fitting, key=lambda plan: (plan.cost, plan.ram_bytes), default=None)


def _too_costly(fronts: Sequence[Sequence[Plan]], layers: Plan, wishes: Wishes) -> QmkitError:
    cheapest = min(plan.cost for front in fronts for plan in front)
    factor = cheapest / layers.cost if layers.cost else 1.0
    return QmkitError(
        "cost-limit",
        f"no plan costs at most {wishes.cost_limit:g} times what running layer by layer does",
        why=f"the cheapest one that is possible costs {factor:.4g} times as much",
        hint=f"--cost-limit {factor * 1.0005:.4g}, or other --patches",
        exit_code=EXIT_FAILED,
    )


def _over_budget(problem: Problem, least: Plan, wishes: Wishes) -> QmkitError:
    """Says the smallest reachable arena, and the layer that holds it."""
    holder = holder_of(problem, least)
    hints = []
    if wishes.patches != "auto":
        hints.append("--patches auto")
    if wishes.halo is not None:
        hints.append("no --halo")
    if wishes.input == "arena":
        hints.append("--input rows")
    if wishes.optimize == "ram" and wishes.cost_limit is not None:
        hints.append("a higher --cost-limit")
    hints.append(f"--ram {arena_bytes(least)}, or a smaller input of the network")
    return QmkitError(
        "ram-budget",
        f"no plan's arena fits {wishes.ram_bytes:,} bytes: the smallest reachable has {arena_bytes(least):,}",
        where=holder.layer,
        why=holder.contents,
        hint=", ".join(hints),
        exit_code=EXIT_FAILED,
    )
