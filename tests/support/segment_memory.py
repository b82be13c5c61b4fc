"""RAM of a segment by its definition, block by block: what the planner's arrays are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.patch.extent import Axis
from quantmcu_kit.patch.memory import aligned, junction_bytes, kept_rows, stays
from quantmcu_kit.patch.segment import Segment, tail_bytes


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
    kept = aligned(tail_bytes(graph, segment))
    passing = set()
    for name in inner:
        kept += aligned(kept_rows(rows[name], columns[name]) * graph.tensors[name].shape[2] * _pixel_bytes(graph, name))
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
    return aligned(rows[name].needed * columns[name].needed * _pixel_bytes(graph, name))


def _pixel_bytes(graph: Graph, name: str) -> int:
    """A pixel's channels share bytes with one another, not with other pixels."""
    tensor = graph.tensors[name]
    return -(-tensor.shape[3] * tensor.dtype.bits // 8)
