"""RAM of a segment that runs patch by patch.

Of each map within the segment there is a *tile*, the region that a patch needs, and where rows are kept for the patches
below, a *ring* of these rows over the map's full width. Columns that are kept stay in the tile, which then lives as
long as the segment; other tiles live from their first writer to their last reader. The maps at the segment's two ends,
its junctions, are there whole; the output may overwrite what of the input no later patch needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.region import Interval
from quantmcu_kit.patch.segment import Segment
from quantmcu_kit.patch.tiles import Grid, HaloMode, tiles


@dataclass(frozen=True)
class Extent:
    """A map along one axis, patch after patch.

    Attributes:
        steps: rows (or columns) that each patch needs.
        needed: most of them at a time.
        kept: most of them that were there before the patch.
        computed: all that the patches compute, what they compute again included.
    """

    steps: tuple[Interval, ...]
    needed: int
    kept: int
    computed: int


Axis = Mapping[str, Extent]  # by map


def rows_of(graph: Graph, segment: Segment, parts: int, *, keep: bool) -> Axis:
    """The maps' rows where the output is cut into ``parts`` from top to bottom; ``keep``: none is computed twice."""
    patches = tiles(graph, segment, Grid(parts, 1), HaloMode.REUSE if keep else HaloMode.RECOMPUTE)
    return {
        name: _extent([patch.needed[name].rows for patch in patches], [patch.fresh[name].rows for patch in patches])
        for name in patches[0].needed
    }


def columns_of(graph: Graph, segment: Segment, parts: int, *, keep: bool) -> Axis:
    """The maps' columns where the output is cut into ``parts`` from left to right."""
    patches = tiles(graph, segment, Grid(1, parts), HaloMode.REUSE if keep else HaloMode.RECOMPUTE)
    return {
        name: _extent(
            [patch.needed[name].columns for patch in patches], [patch.fresh[name].columns for patch in patches]
        )
        for name in patches[0].needed
    }


def _extent(needed: list[Interval], fresh: list[Interval]) -> Extent:
    kept = max(wanted.size - new.size for wanted, new in zip(needed, fresh, strict=True))
    return Extent(tuple(needed), max(each.size for each in needed), kept, sum(each.size for each in fresh))


@dataclass(frozen=True)
class SegmentMemory:
    """Bytes of RAM.

    Attributes:
        junctions: the maps at both ends, overlapped where that is safe.
        kept: rings, and tiles that keep columns.
        tiles: most that other tiles take at a time.
    """

    junctions: int
    kept: int
    tiles: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.junctions + self.kept + self.tiles


def segment_memory(
    graph: Graph, segment: Segment, rows: Axis, columns: Axis, *, is_pulled: bool = False
) -> SegmentMemory:
    """RAM of a segment.

    Args:
        rows, columns: of this segment, or of a longer one that ends where it does.
        is_pulled: its input is not resident: rows of it come as they are asked for.
    """
    nodes = segment.nodes(graph)
    inner = {node.output for node in nodes} - {segment.output}
    if is_pulled:
        inner.add(segment.input)
    kept = sum(_kept_bytes(graph, rows, columns, name) for name in inner)
    passing = {name for name in inner if not columns[name].kept}
    writers = {node.output: index for index, node in enumerate(nodes)} | {segment.input: 0}
    readers = {name: index for index, node in enumerate(nodes) for name in graph.activation_inputs(node)}
    most = 0
    for index in range(len(nodes)):
        alive = (name for name in passing if writers[name] <= index <= readers[name])
        most = max(most, sum(_tile_bytes(graph, rows, columns, name) for name in alive))
    return SegmentMemory(_junctions(graph, segment, rows, columns, is_pulled), kept, most)


def _tile_bytes(graph: Graph, rows: Axis, columns: Axis, name: str) -> int:
    return rows[name].needed * columns[name].needed * graph.tensors[name].shape[3]


def _kept_bytes(graph: Graph, rows: Axis, columns: Axis, name: str) -> int:
    _, _, width, channels = graph.tensors[name].shape
    ring = rows[name].kept * width * channels
    return ring + (_tile_bytes(graph, rows, columns, name) if columns[name].kept else 0)


def _junctions(graph: Graph, segment: Segment, rows: Axis, columns: Axis, is_pulled: bool) -> int:
    """Both ends: the output begins so far below the input that what is written is no longer needed.

    A patch reads all that it needs of the input before it writes, unless its last operator reads the input itself; and
    where there are several patches in a row, the later ones still need the input's rows when the first one has written.
    """
    source, target = graph.tensors[segment.input], graph.tensors[segment.output]
    if is_pulled:
        return target.elements
    in_row, out_row = (tensor.elements // tensor.shape[1] for tensor in (source, target))
    last = segment.nodes(graph)[-1]
    is_read_late = len(columns[segment.output].steps) > 1 or segment.input in last.inputs
    below = 0
    first_needed = source.shape[1]
    steps = zip(rows[segment.input].steps, rows[segment.output].steps, strict=True)
    for needed, written in reversed(tuple(steps)):
        start = min(first_needed, needed.start) if needed.size else first_needed
        below = max(below, written.end * out_row - (start if is_read_late else first_needed) * in_row)
        first_needed = start
    return max(source.elements + below, target.elements)
