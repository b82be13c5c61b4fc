"""Tiles of a segment: for every patch of its output, the region of each map that it needs, and what of it is new.

Rows and columns never mix: which rows a patch needs depends on its rows alone, and all patches beside it need the same.
So what was computed before can be kept along either axis, and what is left to compute is a rectangle. An operator needs
inputs for its new pixels only: what is kept of its output spares its inputs too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.region import Interval, Region
from quantmcu_kit.ir.schedule import Grid, HaloMode
from quantmcu_kit.ops.halo import map_size
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.patch.segment import Segment

NOTHING = Region(Interval(0, 0), Interval(0, 0))
Ends = Mapping[str, int]  # where the computed rows or columns of a map end, by its name


@dataclass(frozen=True)
class Patch:
    """One patch of a segment.

    Attributes:
        needed: region of each map, the segment's input included, by name; an empty one where nothing is.
        fresh: the part of it that this patch computes; what it reads of the segment's input for the first time.
    """

    needed: Mapping[str, Region]
    fresh: Mapping[str, Region]


def split(size: int, parts: int) -> tuple[Interval, ...]:
    """``parts`` intervals that make up [0, size), as equal as they can be."""
    limits = [index * size // parts for index in range(parts + 1)]
    return tuple(Interval(*pair) for pair in zip(limits, limits[1:], strict=False))


def needed_regions(graph: Graph, segment: Segment, wanted: Region, *, clip: bool = True) -> dict[str, Region]:
    """What of each map, by name, is needed for ``wanted`` of the map that is cut into patches, where nothing was kept.

    Args:
        clip: leave padding out, which nobody computes. Published figures often count it.
    """
    return dict(_patch(graph, segment, wanted, {}, {}, clip=clip).needed)


def tiles(graph: Graph, segment: Segment, grid: Grid, mode: HaloMode, *, clip: bool = True) -> tuple[Patch, ...]:
    """The patches in the order in which they run: row by row, each from left to right."""
    whole = Region.whole(map_size(graph.tensors[segment.cut_map(graph)]))
    down: list[Patch] = []
    done: dict[str, int] = {}
    for rows in split(whole.rows.end, grid.rows):
        down.append(_patch(graph, segment, Region(rows, whole.columns), done, {}, clip=clip))
        if mode.keeps_rows:
            done = _ends(done, down[-1], lambda region: region.rows)
    across: list[Patch] = []
    done = {}
    for columns in split(whole.columns.end, grid.columns):
        across.append(_patch(graph, segment, Region(whole.rows, columns), {}, done, clip=clip))
        if mode.keeps_columns:
            done = _ends(done, across[-1], lambda region: region.columns)
    return tuple(
        Patch(_product(row.needed, column.needed), _product(row.fresh, column.fresh))
        for row in down
        for column in across
    )


def _product(down: Mapping[str, Region], across: Mapping[str, Region]) -> dict[str, Region]:
    """Rows of the one, columns of the other."""
    return {name: Region(region.rows, across[name].columns) for name, region in down.items()}


def _patch(graph: Graph, segment: Segment, wanted: Region, rows_done: Ends, columns_done: Ends, *, clip: bool) -> Patch:
    """From the output back: what an operator computes anew decides what it needs; of that, what is kept is not new."""
    needed = {segment.cut_map(graph): wanted}
    fresh: dict[str, Region] = {}
    for node in reversed(segment.nodes(graph)):
        if node.output not in needed:
            continue
        region = needed[node.output] = _with_kept(needed[node.output], node.output, rows_done, columns_done)
        new = fresh[node.output] = _new(region, node.output, rows_done, columns_done)
        if not new.pixels:
            continue
        halos = TABLE[node.op].halo(node.attrs, graph.input_tensors(node), graph.tensors[node.output], new)
        for name, halo in zip(node.inputs, halos, strict=True):
            if name is None or halo is None:
                continue
            seen = halo.clipped(map_size(graph.tensors[name])) if clip else halo
            needed[name] = needed[name].hull(seen) if name in needed else seen
    if segment.input in needed:
        region = needed[segment.input] = _with_kept(needed[segment.input], segment.input, rows_done, columns_done)
        fresh[segment.input] = _new(region, segment.input, rows_done, columns_done)
    names = (segment.input, *(node.output for node in segment.nodes(graph)))
    return Patch(*({name: regions.get(name, NOTHING) for name in names} for regions in (needed, fresh)))


def _with_kept(region: Region, name: str, rows_done: Ends, columns_done: Ends) -> Region:
    """A region with all that was computed beyond its end.

    One reader of a map may lag behind another: what only the other one has needed so far must stay until it catches up.
    """
    if not region.pixels:
        return region
    rows, columns = region.rows, region.columns
    return Region(
        Interval(rows.start, max(rows.end, rows_done.get(name, rows.end))),
        Interval(columns.start, max(columns.end, columns_done.get(name, columns.end))),
    )


def _new(region: Region, name: str, rows_done: Ends, columns_done: Ends) -> Region:
    """What of a region lies beyond the rows and columns that were computed before."""
    return Region(_beyond(region.rows, rows_done.get(name)), _beyond(region.columns, columns_done.get(name)))


def _beyond(wanted: Interval, done: int | None) -> Interval:
    if done is None:
        return wanted
    start = max(done, wanted.start)
    return Interval(start, max(wanted.end, start))


def _ends(before: Ends, patch: Patch, axis: Callable[[Region], Interval]) -> dict[str, int]:
    """How far each map has been computed after this patch."""
    ends = dict(before)
    for name, region in patch.fresh.items():
        if region.pixels:
            ends[name] = max(ends.get(name, axis(region).end), axis(region).end)
    return ends


def pixel_macs(graph: Graph, node: Node) -> int:
    """Multiply-accumulates of one pixel of a node's output: every pixel costs the same."""
    output = graph.tensors[node.output]
    size = map_size(output)
    return TABLE[node.op].cost(node.attrs, graph.input_tensors(node), output).macs // (size.h * size.w)


def tiled_macs(graph: Graph, segment: Segment, patches: tuple[Patch, ...]) -> int:
    """Multiply-accumulates of a segment that runs patch by patch."""
    nodes = segment.nodes(graph)
    return sum(pixel_macs(graph, node) * sum(patch.fresh[node.output].pixels for patch in patches) for node in nodes)
