"""Tiles of a segment: for every patch, the region of each map that it needs, and what of it is new.

Rows and columns never mix: which rows a patch needs depends on its rows alone, and all patches beside it need the same.
So what was computed before can be kept along either axis, and what is left to compute is a rectangle. An operator needs
inputs for its new pixels only: what is kept of its output spares its inputs too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.region import Interval, Region
from quantmcu_kit.ir.schedule import Grid, HaloMode
from quantmcu_kit.ops.halo import map_size
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.patch.extent import columns_of, rows_of
from quantmcu_kit.patch.segment import Segment

NOTHING = Region(Interval(0, 0), Interval(0, 0))


@dataclass(frozen=True)
class Patch:
    """One patch of a segment.

    Attributes:
        needed: region of each map, the segment's input included, by name; an empty one where nothing is.
        fresh: the part of it that this patch computes; what it reads of the segment's input for the first time.
    """

    needed: Mapping[str, Region]
    fresh: Mapping[str, Region]


def needed_regions(graph: Graph, segment: Segment, wanted: Region, *, clip: bool = True) -> dict[str, Region]:
    """What of each map, by name, is needed for ``wanted`` of the map that is cut into patches, where nothing was kept.

    Args:
        clip: leave padding out, which nobody computes. Published figures often count it.
    """
    needed = {segment.cut_map(graph): wanted}
    for node in reversed(segment.nodes(graph)):
        if node.output not in needed:
            continue
        halos = TABLE[node.op].halo(
            node.attrs, graph.input_tensors(node), graph.tensors[node.output], needed[node.output]
        )
        for name, halo in zip(node.inputs, halos, strict=True):
            if name is None or halo is None:
                continue
            seen = halo.clipped(map_size(graph.tensors[name])) if clip else halo
            needed[name] = needed[name].hull(seen) if name in needed else seen
    return {name: needed.get(name, NOTHING) for name in (segment.input, *(n.output for n in segment.nodes(graph)))}


def tiles(graph: Graph, segment: Segment, grid: Grid, mode: HaloMode) -> tuple[Patch, ...]:
    """The patches in the order in which they run: row by row, each from left to right."""
    rows = rows_of(graph, segment, grid.rows, keep=mode.keeps_rows)
    columns = columns_of(graph, segment, grid.columns, keep=mode.keeps_columns)
    down, across = (range(len(axis[segment.cut_map(graph)].steps)) for axis in (rows, columns))
    return tuple(
        Patch(
            {name: Region(rows[name].steps[i], columns[name].steps[j]) for name in rows},
            {name: Region(rows[name].fresh[i], columns[name].fresh[j]) for name in rows},
        )
        for i in down
        for j in across
    )


def pixel_macs(graph: Graph, node: Node) -> int:
    """Multiply-accumulates of one pixel of a node's output: every pixel costs the same."""
    output = graph.tensors[node.output]
    size = map_size(output)
    return TABLE[node.op].cost(node.attrs, graph.input_tensors(node), output).macs // (size.h * size.w)


def tiled_macs(graph: Graph, segment: Segment, patches: tuple[Patch, ...]) -> int:
    """Multiply-accumulates of a segment that runs patch by patch."""
    nodes = segment.nodes(graph)
    return sum(pixel_macs(graph, node) * sum(patch.fresh[node.output].pixels for patch in patches) for node in nodes)
