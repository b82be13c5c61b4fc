"""RAM of a segment that runs patch by patch.

Of each map within the segment there is a *tile*, the region that a patch needs. Columns that are kept stay in the tile,
which then lives as long as the segment; other tiles live from their first writer to their last reader. Rows that are
kept for the patches below stay in the tile too where a patch is as wide as the map: rows then go round in it as in a
ring. Where there are several patches in a row, a block beside the tile keeps rows over the map's full width. The maps
at the segment's two ends, its junctions, are there whole; the output may overwrite what of the input no later patch
needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import TILE_ALIGNMENT
from quantmcu_kit.patch.extent import Axis, Extent
from quantmcu_kit.patch.segment import Segment, sum_count

_SUM_BYTES = 4  # of an int32


@dataclass(frozen=True)
class SegmentMemory:
    """Bytes of RAM.

    Attributes:
        junctions: the maps at both ends, overlapped where that is safe.
        kept: what lives as long as the segment: tiles and rows that are kept, sums.
        tiles: most that other tiles and scratch take at a time.
    """

    junctions: int
    kept: int
    tiles: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.junctions + self.kept + self.tiles


def aligned(size: int) -> int:
    """``size`` rounded up to the alignment of tiles."""
    return -(-size // TILE_ALIGNMENT) * TILE_ALIGNMENT


def stays(rows: Extent, columns: Extent) -> bool:
    """Whether a map's tile keeps something from patch to patch."""
    return columns.kept > 0 or (rows.kept > 0 and len(columns.steps) == 1)


def kept_rows(rows: Extent, columns: Extent) -> int:
    """Rows that are kept beside the tile."""
    return rows.kept if len(columns.steps) > 1 else 0


def segment_memory(
    graph: Graph,
    segment: Segment,
    rows: Axis,
    columns: Axis,
    *,
    scratch: Mapping[str, int] | None = None,
    is_pulled: bool = False,
) -> SegmentMemory:
    """RAM of a segment.

    Args:
        rows, columns: of this segment, or of a longer one that ends where it does.
        scratch: bytes by name of the node that needs them.
        is_pulled: its input is not resident: rows of it come as they are asked for.
    """
    nodes = segment.nodes(graph)
    inner = {node.output for node in nodes} - {segment.output}
    if is_pulled:
        inner.add(segment.input)
    kept = aligned(sum_count(graph, segment) * _SUM_BYTES)
    passing = set()
    for name in inner:
        _, _, width, channels = graph.tensors[name].shape
        kept += aligned(kept_rows(rows[name], columns[name]) * width * channels)
        if stays(rows[name], columns[name]):
            kept += _tile_bytes(graph, rows, columns, name)
        else:
            passing.add(name)
    writers = {node.output: index for index, node in enumerate(nodes)} | {segment.input: 0}
    readers = {name: index for index, node in enumerate(nodes) for name in graph.activation_inputs(node)}
    most = 0
    for index, node in enumerate(nodes):
        alive = (name for name in passing if writers[name] <= index <= readers.get(name, len(nodes) - 1))
        taken = sum(_tile_bytes(graph, rows, columns, name) for name in alive)
        most = max(most, taken + aligned(scratch.get(node.name, 0) if scratch else 0))
    return SegmentMemory(junction_bytes(graph, segment, rows, columns, is_pulled), kept, most)


def _tile_bytes(graph: Graph, rows: Axis, columns: Axis, name: str) -> int:
    return aligned(rows[name].needed * columns[name].needed * graph.tensors[name].shape[3])


def junction_bytes(graph: Graph, segment: Segment, rows: Axis, columns: Axis, is_pulled: bool) -> int:
    """Both ends: the output begins so far below the input that what is written is no longer needed.

    A patch reads all that it needs of the input before it writes, unless its last operator reads the input itself; and
    where there are several patches in a row, the later ones still need the input's rows when the first one has written.
    """
    source, target = graph.tensors[segment.input], graph.tensors[segment.output]
    if is_pulled:
        return aligned(target.elements)
    if segment.tail:  # the output is written when all of the input has been read
        return aligned(max(source.elements, target.elements))
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
    # The input lies at the end of the block.
    return source.elements + aligned(max(below, target.elements - source.elements))
