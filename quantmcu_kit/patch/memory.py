"""What a segment that runs patch by patch keeps in RAM, and how its two ends overlap.

Of each map within the segment there is a *tile*, the region that a patch needs. Columns that are kept stay in the tile,
which then lives as long as the segment; other tiles live from their first writer to their last reader. Rows that are
kept for the patches below stay in the tile too where a patch is as wide as the map: rows then go round in it as in a
ring. Where there are several patches in a row, a block beside the tile keeps rows over the map's full width. The maps
at the segment's two ends, its junctions, are there whole; the output may overwrite what of the input no later patch
needs.
"""

from __future__ import annotations

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import TILE_ALIGNMENT
from quantmcu_kit.patch.extent import Axis, Extent
from quantmcu_kit.patch.segment import Segment


def aligned(size: int) -> int:
    """``size`` rounded up to the alignment of tiles."""
    return -(-size // TILE_ALIGNMENT) * TILE_ALIGNMENT


def stays(rows: Extent, columns: Extent) -> bool:
    """Whether a map's tile keeps something from patch to patch."""
    return columns.kept > 0 or (rows.kept > 0 and len(columns.steps) == 1)


def kept_rows(rows: Extent, columns: Extent) -> int:
    """Rows that are kept beside the tile."""
    return rows.kept if len(columns.steps) > 1 else 0


def junction_bytes(graph: Graph, segment: Segment, rows: Axis, columns: Axis, is_pulled: bool) -> int:
    """Both ends: the output begins so far below the input that what is written is no longer needed.

    A patch reads all that it needs of the input before it writes, unless its last operator reads the input itself; and
    where there are several patches in a row, the later ones still need the input's rows when the first one has written.
    """
    source, target = graph.tensors[segment.input], graph.tensors[segment.output]
    if is_pulled:
        return aligned(target.bytes)
    if segment.tail:  # the output is written when all of the input has been read
        return aligned(max(source.bytes, target.bytes))
    in_row, out_row = (tensor.bytes // tensor.shape[1] for tensor in (source, target))
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
    return source.bytes + aligned(max(below, target.bytes - source.bytes))
