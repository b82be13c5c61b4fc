"""Which segments run in patches, on which grids, and what is kept: the best plans between least RAM and least cost.

A network is a chain between cut points. Every stretch between two of them may run whole or in patches; a plan is a path
through the cut points, its RAM that of its hungriest stretch, its cost the sum. The front of plans that nothing beats
is found by dynamic programming: exact over the grids that are tried.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.schedule import Grid, HaloMode
from quantmcu_kit.patch.cost import Costs
from quantmcu_kit.patch.segment import Segment
from quantmcu_kit.patch.ways import MODES, Problem, Ways, pareto, patched_ways


@dataclass(frozen=True)
class Stretch:
    """A part of a plan.

    Attributes:
        segment: its nodes and the maps at its ends; an end where several maps are alive has no name.
        grid, mode: how it runs in patches; None where it runs whole.
        ram_bytes: while it runs; no placement in the arena needs less.
        macs: multiply-accumulates, what is computed again included.
        cost: in the unit of the costs that the plan was made for.
    """

    segment: Segment
    grid: Grid | None
    mode: HaloMode | None
    ram_bytes: int
    macs: int
    cost: float


@dataclass(frozen=True)
class Plan:
    """Stretches from the network's input to its output.

    Attributes:
        pulls_input: the network's input is not resident.
    """

    stretches: tuple[Stretch, ...]
    pulls_input: bool = False

    @property
    def ram_bytes(self) -> int:
        """Of the hungriest stretch."""
        return max((stretch.ram_bytes for stretch in self.stretches), default=0)

    @property
    def macs(self) -> int:
        """Of all stretches."""
        return sum(stretch.macs for stretch in self.stretches)

    @property
    def cost(self) -> float:
        """Of all stretches."""
        return sum(stretch.cost for stretch in self.stretches)

    @property
    def is_patched(self) -> bool:
        """Whether anything runs in patches."""
        return any(stretch.grid for stretch in self.stretches)


@dataclass(frozen=True, eq=False)
class _Front:
    """Plans up to one position: RAM, cost and how each was reached: (way, its index, plan before it)."""

    ram_bytes: np.ndarray
    cost: np.ndarray
    origins: Sequence[tuple[Ways | Stretch, int, int]]


def plan_front(
    graph: Graph,
    costs: Costs | None = None,
    *,
    pull_input: bool = False,
    modes: Collection[HaloMode] = MODES,
    grids: Collection[Grid] | None = None,
) -> tuple[Plan, ...]:
    """Plans of an integer graph of which none is better in both RAM and cost, from least RAM to least cost.

    Args:
        costs: multiply-accumulates where none are given.
        pull_input: the network's input is not resident: rows of it come as they are asked for, by a first stretch that
            runs in patches. There may be no such plan.
        modes, grids: those to try, if not all.
    """
    return front_of(Problem.of(graph, costs), pull_input=pull_input, modes=modes, grids=grids)


def front_of(
    problem: Problem,
    *,
    pull_input: bool = False,
    modes: Collection[HaloMode] = MODES,
    grids: Collection[Grid] | None = None,
) -> tuple[Plan, ...]:
    """:func:`plan_front` of a problem."""
    last = len(problem.graph.nodes)
    if not last:
        return () if pull_input else (Plan(()),)
    positions = _positions(problem)
    fronts = {0: _Front(np.zeros(1, np.int64), np.zeros(1), ())}
    for before, end in zip(positions, positions[1:], strict=False):
        ways: list[Ways | Stretch] = [] if pull_input and before == 0 else [whole(problem, before, end)]
        ways += patched_ways(problem, end, is_pulled=pull_input, modes=modes, grids=grids)
        fronts[end] = _reach(fronts, ways)
    return tuple(_trace(problem, fronts, last, index, pull_input) for index in range(len(fronts[last].cost)))


def _positions(problem: Problem) -> list[int]:
    """Where stretches may end: cut points, and the network's two ends."""
    inner = [index for index, name in enumerate(problem.cuts) if name is not None]
    return sorted({0, *inner, len(problem.graph.nodes)})


def whole(problem: Problem, start: int, end: int) -> Stretch:
    """Nodes [start, end) layer by layer."""
    ram_bytes = max(problem.whole[start:end], default=0)
    cost = sum(problem.node_cost(index).whole for index in range(start, end))
    return Stretch(problem.segment(start, end), None, None, ram_bytes, sum(problem.macs[start:end]), cost)


def _reach(fronts: dict[int, _Front], ways: Iterable[Ways | Stretch]) -> _Front:
    """The front at a position that every way leads to."""
    rams, costs, sources = [], [], []
    for way in ways:
        before = fronts[way.segment.start]
        ram, cost = np.atleast_1d(way.ram_bytes), np.atleast_1d(way.cost)
        rams.append(np.maximum(ram[:, None], before.ram_bytes[None, :]).ravel())
        costs.append((before.cost[None, :] + cost[:, None]).ravel())
        sources.append((way, len(before.cost)))
    if not rams:
        return _Front(np.zeros(0, np.int64), np.zeros(0), ())
    all_ram, all_cost = np.concatenate(rams), np.concatenate(costs)
    chosen = pareto(all_ram, all_cost)
    limits = np.cumsum([len(each) for each in rams])
    origins = []
    for index in chosen:
        source = int(np.searchsorted(limits, index, side="right"))
        way, count = sources[source]
        inside = int(index) - (int(limits[source - 1]) if source else 0)
        origins.append((way, inside // count, inside % count))
    return _Front(all_ram[chosen], all_cost[chosen], origins)


def _trace(problem: Problem, fronts: dict[int, _Front], end: int, index: int, pulls_input: bool) -> Plan:
    """The plan at an index of a front, stretches that run whole joined."""
    stretches: list[Stretch] = []
    while end > 0:
        way, choice, before = fronts[end].origins[index]
        stretch = way if isinstance(way, Stretch) else stretch_of(way, choice)
        if stretches and stretch.grid is None and stretches[-1].grid is None:
            stretch = whole(problem, stretch.segment.start, stretches.pop().segment.end)
        stretches.append(stretch)
        end, index = way.segment.start, before
    return Plan(tuple(reversed(stretches)), pulls_input)


def stretch_of(ways: Ways, index: int) -> Stretch:
    """One way to run a segment in patches."""
    return Stretch(
        ways.segment,
        ways.grids[index],
        ways.modes[index],
        int(ways.ram_bytes[index]),
        int(ways.macs[index]),
        float(ways.cost[index]),
    )


def front_json(front: Iterable[Plan]) -> list[dict[str, object]]:
    """A front as data."""
    return [
        {
            "ram_bytes": plan.ram_bytes,
            "macs": plan.macs,
            "cost": plan.cost,
            "input": "rows" if plan.pulls_input else "arena",
            "stretches": [
                {
                    "start": stretch.segment.start,
                    "end": stretch.segment.end,
                    "grid": str(stretch.grid) if stretch.grid else None,
                    "halo": stretch.mode.value if stretch.mode else None,
                    "ram_bytes": stretch.ram_bytes,
                    "macs": stretch.macs,
                    "cost": stretch.cost,
                }
                for stretch in plan.stretches
            ],
        }
        for plan in front
    ]
