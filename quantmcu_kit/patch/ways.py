"""Every way to run a part of a network in patches: RAM and cost of all grids and halo modes, on arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.schedule import Grid, HaloMode
from quantmcu_kit.ir.types import Size
from quantmcu_kit.ops.halo import map_size
from quantmcu_kit.patch.along import Window, along, windows
from quantmcu_kit.patch.cost import Costs, NodeCost, node_macs
from quantmcu_kit.patch.memory import aligned
from quantmcu_kit.patch.segment import Segment, cut_points, is_tileable, tail_bytes, tail_length
from quantmcu_kit.patch.whole import scratch_of_nodes, whole_bytes

MODES = tuple(HaloMode)
_KEEPS_ROWS = [int(mode.keeps_rows) for mode in MODES]
_KEEPS_COLUMNS = [int(mode.keeps_columns) for mode in MODES]


@dataclass(frozen=True, eq=False)
class Problem:
    """A network and what running it takes.

    Attributes:
        costs: of running; multiply-accumulates where nothing else is given.
        scratch: bytes by name of the node.
        whole: bytes of the arena at each node where it runs layer by layer.
    """

    graph: Graph
    costs: Costs
    scratch: Mapping[str, int]
    whole: tuple[int, ...]

    @staticmethod
    def of(
        graph: Graph,
        costs: Costs | None = None,
        *,
        scratch: Mapping[str, int] | None = None,
        whole: Sequence[int] | None = None,
    ) -> Problem:
        """The problem of an integer graph; what is not given is found."""
        scratch = scratch_of_nodes(graph) if scratch is None else scratch
        alive = whole_bytes(graph, scratch) if whole is None else tuple(whole)
        return Problem(graph, costs or Costs.of_macs(graph), scratch, alive)

    @cached_property
    def cuts(self) -> tuple[str | None, ...]:
        """See ``cut_points``."""
        return cut_points(self.graph)

    @cached_property
    def macs(self) -> tuple[int, ...]:
        """Multiply-accumulates of each node."""
        return node_macs(self.graph)

    @cached_property
    def windows(self) -> tuple[list[tuple[Window, ...]], list[tuple[Window, ...]]]:
        """What the nodes' pixels see along rows, along columns."""
        return windows(self.graph, 0), windows(self.graph, 1)

    @cached_property
    def readers(self) -> dict[str, int]:
        """Of each map, the last node that reads it."""
        return {
            name: index for index, node in enumerate(self.graph.nodes) for name in self.graph.activation_inputs(node)
        }

    def node_cost(self, index: int) -> NodeCost:
        """Of a node by its index."""
        return self.costs.nodes[self.graph.nodes[index].name]

    def segment(self, start: int, end: int, tail: int = 0) -> Segment:
        """Nodes [start, end); an end where several maps are alive has no name."""
        return Segment(start, end, self.cuts[start] or "", self.cuts[end] or "", tail)


@dataclass(frozen=True, eq=False)
class Ways:
    """Of one segment: those that no other one beats, from least RAM to least cost."""

    segment: Segment
    grids: tuple[Grid, ...]
    modes: tuple[HaloMode, ...]
    ram_bytes: np.ndarray
    cost: np.ndarray
    macs: np.ndarray


def parts_of(size: int) -> list[int]:
    """Numbers of patches along an axis that are tried, from one to one per pixel: the fewest for each size of patch."""
    return sorted({-(-size // step) for step in range(1, size + 1)})


def steps_of(size: int, finest: int) -> list[int]:
    """:func:`parts_of`, and where pixels are kept, steps of a half, a quarter... of a pixel of the last map.

    Args:
        finest: pixels of the map that has most: smaller steps than of one of its pixels are of no use.
    """
    parts = parts_of(size)
    while 2 * parts[-1] <= finest:
        parts.append(2 * parts[-1])
    return parts


def _finest(graph: Graph, nodes: range) -> Size:
    """Most rows and columns of the maps that these nodes read and write."""
    sizes = [
        map_size(graph.tensors[name])
        for index in nodes
        for name in (*graph.activation_inputs(graph.nodes[index]), graph.nodes[index].output)
    ]
    return Size(max(size.h for size in sizes), max(size.w for size in sizes))


def patched_ways(
    problem: Problem,
    end: int,
    *,
    is_pulled: bool,
    modes: Collection[HaloMode] = MODES,
    grids: Collection[Grid] | None = None,
    starts: Collection[int] | None = None,
) -> Iterator[Ways]:
    """The segments that end at ``end``, the shortest first.

    Args:
        is_pulled: a segment at the network's beginning pulls its input.
        modes, grids, starts: those to try, if not all.
    """
    graph, cuts = problem.graph, problem.cuts
    tail = tail_length(graph, end)
    tiled_end = first = end - tail
    while first > 0 and is_tileable(graph, graph.nodes[first - 1]):
        first -= 1
    lowest = max(first, min(starts, default=end)) if starts is not None else first
    while lowest < tiled_end and cuts[lowest] is None:
        lowest += 1
    if cuts[end] is None or lowest >= tiled_end:
        return
    size = map_size(graph.tensors[graph.nodes[tiled_end - 1].output])
    finest = _finest(graph, range(lowest, tiled_end))
    if grids is None:
        sides = steps_of(size.h, finest.h), steps_of(size.w, finest.w)
    else:
        fitting = [grid for grid in grids if grid.rows <= finest.h and grid.columns <= finest.w]
        sides = sorted({grid.rows for grid in fitting}), sorted({grid.columns for grid in fitting})
    if not all(sides):
        return

    def is_possible(mode: HaloMode, n: int, m: int) -> bool:
        fits = (mode.keeps_rows or n <= size.h) and (mode.keeps_columns or m <= size.w)
        return fits and mode in modes and (grids is None or Grid(n, m) in grids)

    is_allowed = np.array([[[is_possible(mode, n, m) for m in sides[1]] for n in sides[0]] for mode in MODES])
    sweep = _Sweep(problem, end, tail, range(lowest, tiled_end), sides)
    for start in reversed(range(lowest, tiled_end)):
        sweep.add_node(start)
        if cuts[start] is not None and (starts is None or start in starts):
            yield sweep.ways(start, is_pulled and start == 0, is_allowed)


class _Sweep:
    """Segments with one end, node by node towards the network's beginning. Arrays are [modes, rows, columns]."""

    def __init__(self, problem: Problem, end: int, tail: int, nodes: range, sides: tuple[list[int], list[int]]) -> None:
        self.problem, self.graph = problem, problem.graph
        self.end, self.tail, self.sides = end, tail, sides
        self.tiled_end = nodes[-1] + 1
        self.rows, self.columns = (
            along(self.graph, seen, nodes, axis, sides[axis]) for axis, seen in enumerate(problem.windows)
        )
        self.rows_active, self.columns_active = (
            np.zeros_like(next(iter(axis.values())).is_needed) for axis in (self.rows, self.columns)
        )
        self.is_split = np.array(sides[1])[None, None, :] > 1
        zeros = np.zeros((len(MODES), len(sides[0]), len(sides[1])), np.int64)
        piece = problem.segment(nodes[0], end, tail)
        self.kept = zeros + aligned(tail_bytes(self.graph, piece))
        self.most, self.macs = zeros, zeros
        self.cost = zeros.astype(np.float64)
        self.per_patch = zeros + problem.costs.patch  # cost of every patch, whether it computes much or nothing
        self.taken: dict[int, np.ndarray] = {}
        for index in range(self.tiled_end, end):
            cost = problem.node_cost(index)
            self.macs = self.macs + problem.macs[index]
            self.cost = self.cost + cost.whole
            self.per_patch = self.per_patch + cost.call

    def add_node(self, index: int) -> None:
        """The segment begins one node earlier."""
        node, cost = self.graph.nodes[index], self.problem.node_cost(index)
        rows, columns = self.rows.get(node.output), self.columns.get(node.output)
        scratch = aligned(self.problem.scratch.get(node.name, 0))
        self.taken[index] = np.full_like(self.most, scratch)
        self.most = np.maximum(self.most, scratch)
        if rows is None:  # nothing reads it
            return
        _, height, width, _ = self.graph.tensors[node.output].shape
        pixels = _down(rows.computed) * _across(columns.computed)
        self.macs = self.macs + self.problem.macs[index] * pixels // (height * width)
        self.cost = self.cost + cost.whole * pixels / (height * width)
        if cost.call:
            self.cost = self.cost + cost.call * (_down(rows.calls) * _across(columns.calls))
        self.per_patch = self.per_patch + self.problem.costs.check
        self.rows_active = self.rows_active | rows.is_needed
        self.columns_active = self.columns_active | columns.is_needed
        if self.tail or index < self.tiled_end - 1:
            kept, passing, moved, looked_after = self._map(node.output)
            self.kept = self.kept + kept
            self.cost = self.cost + moved
            self.per_patch = self.per_patch + looked_after
            self.most = self._most_with(self.taken, node.output, index, passing)

    def ways(self, start: int, is_pulled: bool, is_allowed: np.ndarray) -> Ways:
        """Of the segment that begins with the node that was added last."""
        piece = self.problem.segment(start, self.end, self.tail)
        ram, cost, per_patch = self.kept + self._junctions(piece, is_pulled), self.cost, self.per_patch
        most = self.most
        if is_pulled:
            kept, passing, moved, looked_after = self._map(piece.input)
            most = self._most_with(dict(self.taken), piece.input, start, passing)
            ram, cost, per_patch = ram + kept, cost + moved, per_patch + looked_after
        ram = ram + most
        seen = self.rows[piece.input].is_needed, self.columns[piece.input].is_needed
        rows, columns = (
            (active | of_input).sum(axis=2)
            for active, of_input in zip((self.rows_active, self.columns_active), seen, strict=True)
        )
        cost = cost + per_patch * (_down(rows) * _across(columns))
        allowed = np.flatnonzero(is_allowed)
        chosen = allowed[pareto(ram.ravel()[allowed], cost.ravel()[allowed])]
        places = [np.unravel_index(index, ram.shape) for index in chosen]
        return Ways(
            piece,
            tuple(Grid(self.sides[0][n], self.sides[1][m]) for _, n, m in places),
            tuple(MODES[mode] for mode, _, _ in places),
            ram.ravel()[chosen],
            cost.ravel()[chosen],
            self.macs.ravel()[chosen],
        )

    def _map(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | float, np.ndarray | float]:
        """Of a map that is not resident: bytes as long as the segment lives, bytes of a passing tile, cost of all
        bytes that move, and cost of looking after it in each patch."""
        rows, columns, costs = self.rows[name], self.columns[name], self.problem.costs
        width, pixel_bytes = self.graph.tensors[name].shape[2], self.graph.tensors[name].pixel_bytes
        tile = _aligned(_down(rows.needed) * _across(columns.needed) * pixel_bytes)
        kept_rows = np.where(self.is_split, _down(rows.kept), 0)
        stays = (_across(columns.kept) > 0) | ((_down(rows.kept) > 0) & ~self.is_split)
        kept = _aligned(kept_rows * width * pixel_bytes) + np.where(stays, tile, 0)
        moved: np.ndarray | float = 0.0
        looked_after: np.ndarray | float = 0.0
        if costs.byte or costs.enter or costs.leave:
            is_kept, slides = kept_rows > 0, stays & self.is_split
            there = _down(rows.put_away) * _across(columns.passed)
            back = _down(rows.fetched) * _across(columns.computed)
            shifted = _down(rows.held) * _across(columns.slid)
            pixels = np.where(is_kept, there + back, 0) + np.where(slides, shifted, 0)
            looked_after = costs.enter * (is_kept | slides) + costs.leave * is_kept
            moved = costs.byte * pixel_bytes * pixels
        return kept, np.where(stays, 0, tile), moved, looked_after

    def _most_with(self, taken: dict[int, np.ndarray], name: str, writer: int, passing: np.ndarray) -> np.ndarray:
        """Most that tiles and scratch take, where one more tile lives from its writer to its last reader."""
        most = self.most
        for index in range(writer, min(self.problem.readers.get(name, self.end), self.tiled_end - 1) + 1):
            taken[index] = taken[index] + passing
            most = np.maximum(most, taken[index])
        return most

    def _junctions(self, piece: Segment, is_pulled: bool) -> np.ndarray | int:
        """See ``memory.junction_bytes``."""
        source, target = self.graph.tensors[piece.input], self.graph.tensors[piece.output]
        if is_pulled:
            return aligned(target.bytes)
        if piece.tail:
            return aligned(max(source.bytes, target.bytes))
        in_row, out_row = (tensor.bytes // tensor.shape[1] for tensor in (source, target))
        needed = np.minimum(self.rows[piece.input].wanted_later, source.shape[1])
        following = np.full_like(needed, source.shape[1])
        following[:, :, :-1] = needed[:, :, 1:]
        ends = self.rows[piece.output].end * out_row
        late, early = ((ends - first * in_row).max(axis=2) for first in (needed, following))
        if piece.input in self.graph.nodes[self.tiled_end - 1].inputs:
            early = late
        below = np.where(self.is_split, _down(late), _down(early))
        return source.bytes + _aligned(np.maximum(below, max(target.bytes - source.bytes, 0)))


def _down(values: np.ndarray) -> np.ndarray:
    """[2, rows] -> [modes, rows, 1]."""
    return values[_KEEPS_ROWS][:, :, None]


def _across(values: np.ndarray) -> np.ndarray:
    """[2, columns] -> [modes, 1, columns]."""
    return values[_KEEPS_COLUMNS][:, None, :]


def _aligned(sizes: np.ndarray) -> np.ndarray:
    return -(-sizes // aligned(1)) * aligned(1)


def pareto(ram_bytes: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Indices of those that no other one beats, by growing RAM; of equal ones the first."""
    order = np.lexsort((np.arange(len(cost)), cost, ram_bytes))
    if not len(order):
        return order
    ordered = cost[order]
    before = np.concatenate(([np.inf], np.minimum.accumulate(ordered)[:-1]))
    return order[ordered < before]
