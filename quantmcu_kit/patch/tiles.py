"""Tiles of a segment: for every patch of its output, the region of each map that it needs, and what of it is new.

Rows and columns never mix: which rows a patch needs depends on its rows alone. So what was computed before can be kept
along either axis, and what is left to compute is a rectangle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.region import Interval, Region
from quantmcu_kit.ops.halo import map_size
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.patch.segment import Segment


class HaloMode(Enum):
    """What happens to pixels that several patches need."""

    RECOMPUTE = "recompute"  # each patch computes its own
    REUSE_ROWS = "reuse-rows"  # rows are kept for the patches below
    REUSE = "reuse"  # rows and columns are kept: nothing is computed twice

    @property
    def keeps_rows(self) -> bool:
        """Whether rows are computed once."""
        return self is not HaloMode.RECOMPUTE

    @property
    def keeps_columns(self) -> bool:
        """Whether columns are computed once."""
        return self is HaloMode.REUSE


@dataclass(frozen=True)
class Grid:
    """Patches of a segment's output: how many from top to bottom and from left to right."""

    rows: int
    columns: int


@dataclass(frozen=True)
class Patch:
    """One patch of a segment.

    Attributes:
        needed: region of each map, the segment's input included, by name.
        fresh: the part of it that this patch computes; what it reads of the segment's input for the first time.
    """

    needed: Mapping[str, Region]
    fresh: Mapping[str, Region]


def split(size: int, parts: int) -> tuple[Interval, ...]:
    """``parts`` intervals that make up [0, size), as equal as they can be."""
    limits = [index * size // parts for index in range(parts + 1)]
    return tuple(Interval(*pair) for pair in zip(limits, limits[1:], strict=False))


def needed_regions(graph: Graph, segment: Segment, wanted: Region, *, clip: bool = True) -> dict[str, Region]:
    """What of each map of the segment is needed for ``wanted`` of its output, by name.

    Args:
        clip: leave padding out, which nobody computes. Published figures often count it.
    """
    regions = {segment.output: wanted}
    for node in reversed(segment.nodes(graph)):
        if node.output not in regions:
            continue
        halos = TABLE[node.op].halo(
            node.attrs, graph.input_tensors(node), graph.tensors[node.output], regions[node.output]
        )
        for name, halo in zip(node.inputs, halos, strict=True):
            if name is None or halo is None:
                continue
            seen = halo.clipped(map_size(graph.tensors[name])) if clip else halo
            regions[name] = regions[name].hull(seen) if name in regions else seen
    return regions


def tiles(graph: Graph, segment: Segment, grid: Grid, mode: HaloMode, *, clip: bool = True) -> tuple[Patch, ...]:
    """The patches in the order in which they run: row by row, each from left to right."""
    size = map_size(graph.tensors[segment.output])
    rows, columns = split(size.h, grid.rows), split(size.w, grid.columns)
    patches: list[Patch] = []
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            needed = needed_regions(graph, segment, Region(row, column), clip=clip)
            above = patches[-grid.columns].needed if y and mode.keeps_rows else {}
            left = patches[-1].needed if x and mode.keeps_columns else {}
            fresh = {
                name: Region(
                    _after(above[name].rows, region.rows) if above else region.rows,
                    _after(left[name].columns, region.columns) if left else region.columns,
                )
                for name, region in needed.items()
            }
            patches.append(Patch(needed, fresh))
    return tuple(patches)


def _after(done: Interval, wanted: Interval) -> Interval:
    """What of ``wanted`` lies beyond what was done before it."""
    start = max(done.end, wanted.start)
    return Interval(start, max(wanted.end, start))


def node_macs(graph: Graph, node: Node, region: Region) -> int:
    """Multiply-accumulates of a region of the node's output: every pixel costs the same."""
    output = graph.tensors[node.output]
    size = map_size(output)
    whole = TABLE[node.op].cost(node.attrs, graph.input_tensors(node), output).macs
    return whole // (size.h * size.w) * region.pixels


def tiled_macs(graph: Graph, segment: Segment, patches: tuple[Patch, ...]) -> int:
    """Multiply-accumulates of a segment that runs patch by patch."""
    nodes = segment.nodes(graph)
    return sum(
        node_macs(graph, node, patch.fresh[node.output])
        for patch in patches
        for node in nodes
        if node.output in patch.fresh
    )
