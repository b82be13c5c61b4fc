"""Which segments run in patches, on which grids, and what is kept: the best plans between least RAM and least work.

A network is a chain between cut points. Every stretch between two of them may run whole or in patches; a plan is a path
through the cut points, its RAM that of its hungriest stretch, its work the sum. The front of plans that nothing beats
is found by dynamic programming: exact over the grids that are tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ops.halo import map_size
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.patch.memory import columns_of, rows_of, segment_memory
from quantmcu_kit.patch.segment import Segment, cut_points, is_tileable
from quantmcu_kit.patch.tiles import Grid, HaloMode, pixel_macs

Cuts = tuple["str | None", ...]


@dataclass(frozen=True)
class Stretch:
    """A part of a plan.

    Attributes:
        segment: its nodes and the maps at its ends.
        grid, mode: how it runs in patches; None where it runs whole.
        ram_bytes: while it runs.
        macs: multiply-accumulates, what is computed again included.
    """

    segment: Segment
    grid: Grid | None
    mode: HaloMode | None
    ram_bytes: int
    macs: int


@dataclass(frozen=True)
class Plan:
    """Stretches from the network's input to its output."""

    stretches: tuple[Stretch, ...]
    ram_bytes: int
    macs: int

    def then(self, stretch: Stretch) -> Plan:
        """This plan with one more stretch at its end."""
        ram_bytes = max(self.ram_bytes, stretch.ram_bytes)
        return Plan((*self.stretches, stretch), ram_bytes, self.macs + stretch.macs)


def plan_front(graph: Graph, *, pull_input: bool = False) -> tuple[Plan, ...]:
    """Plans of which none is better in both RAM and work, from least RAM to least work.

    Args:
        pull_input: the network's input is not resident: rows of it come as they are asked for.
    """
    cuts = cut_points(graph)
    best: list[list[Plan]] = [[] for _ in cuts]
    best[0] = [Plan((), 0, 0)]
    for end in range(1, len(cuts)):
        if cuts[end] is None:
            continue
        candidates = [
            plan.then(stretch)
            for stretch in _stretches(graph, cuts, end, pull_input)
            for plan in best[stretch.segment.start]
        ]
        best[end] = _front(candidates)
    return tuple(best[-1])


def _front(plans: Iterable[Plan]) -> list[Plan]:
    """Plans that no other one beats; of equal ones the first."""
    kept: list[Plan] = []
    for plan in sorted(plans, key=lambda plan: (plan.ram_bytes, plan.macs)):
        if not kept or plan.macs < kept[-1].macs:
            kept.append(plan)
    return kept


def _stretches(graph: Graph, cuts: Cuts, end: int, pull_input: bool) -> Iterator[Stretch]:
    """Every way to reach ``end`` from an earlier cut point."""
    start = max(index for index in range(end) if cuts[index] is not None)
    yield _whole(graph, Segment(start, end, cuts[start], cuts[end]), pull_input)
    first = end
    while first > 0 and is_tileable(graph, graph.nodes[first - 1]):
        first -= 1
    pieces = [Segment(index, end, cuts[index], cuts[end]) for index in range(first, end) if cuts[index] is not None]
    if not pieces:
        return
    size = map_size(graph.tensors[cuts[end]])
    per_pixel = {node.output: pixel_macs(graph, node) for node in pieces[0].nodes(graph)}
    rows = {keep: {n: rows_of(graph, pieces[0], n, keep=keep) for n in _parts(size.h)} for keep in (False, True)}
    columns = {keep: {n: columns_of(graph, pieces[0], n, keep=keep) for n in _parts(size.w)} for keep in (False, True)}
    for mode in HaloMode:
        for n, of_rows in rows[mode.keeps_rows].items():
            for m, of_columns in columns[mode.keeps_columns].items():
                macs, counted = 0, end
                for piece in reversed(pieces):
                    for node in graph.nodes[piece.start : counted]:
                        pixels = of_rows[node.output].computed * of_columns[node.output].computed
                        macs += per_pixel[node.output] * pixels
                    counted = piece.start
                    is_pulled = pull_input and piece.start == 0
                    memory = segment_memory(graph, piece, of_rows, of_columns, is_pulled=is_pulled)
                    yield Stretch(piece, Grid(n, m), mode, memory.total, macs)


def _parts(size: int) -> list[int]:
    """Numbers of patches along an axis: all of its pixels, half as many, and so on to one."""
    parts = [size]
    while parts[-1] > 1:
        parts.append(-(-parts[-1] // 2))
    return parts


def _whole(graph: Graph, piece: Segment, pull_input: bool) -> Stretch:
    """Layer by layer: the most that its maps take at one node; an elementwise result takes its operand's place."""
    nodes = piece.nodes(graph)
    last_use = {name: index for index, node in enumerate(nodes) for name in graph.activation_inputs(node)}
    last_use[piece.output] = len(nodes)
    alive = {piece.input} if not (pull_input and piece.start == 0) else set()
    most = macs = 0
    for index, node in enumerate(nodes):
        spec, output = TABLE[node.op], graph.tensors[node.output]
        macs += spec.cost(node.attrs, graph.input_tensors(node), output).macs
        before = sum(graph.tensors[name].elements for name in alive)
        dying = [name for name in graph.activation_inputs(node) if last_use[name] == index and name in alive]
        takes_over = spec.is_view or (
            spec.in_place and any(graph.tensors[name].elements == output.elements for name in dying)
        )
        most = max(most, before + (0 if takes_over else output.elements))
        alive = {name for name in (*alive, node.output) if last_use.get(name, -1) > index}
    return Stretch(piece, None, None, most, macs)
