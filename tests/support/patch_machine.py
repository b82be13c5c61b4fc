"""Runs a segment in exactly the memory that its plan states: junctions that overlap, rings of rows, tiles."""

from __future__ import annotations

import numpy as np

from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.region import Interval, Region
from quantmcu_kit.ops.interpret import prepare_node
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.patch.memory import columns_of, rows_of, segment_memory
from quantmcu_kit.patch.segment import Segment
from quantmcu_kit.patch.tiles import Grid, HaloMode, Patch, tiles


class _Map:
    """A map within the segment: its tile, and the ring of rows for the patches below."""

    def __init__(self, shape: tuple[int, ...], rows: int, columns: int, kept_rows: int) -> None:
        self.tile = np.full((rows, columns, shape[3]), -77, np.int8)
        self.ring = np.full((kept_rows, shape[2], shape[3]), -77, np.int8)
        self.ring_start = 0  # the map's row that lies first in the ring
        self.next_start = 0  # the same once the row of patches has ended
        self.left: int | None = None  # the map's column that lies first in the tile; None at the start of a row


class PatchMachine:
    """One segment, one plan."""

    def __init__(self, graph: Graph, piece: Segment, grid: Grid, mode: HaloMode, *, is_pulled: bool) -> None:
        self._graph, self._piece, self._grid, self._mode, self._is_pulled = graph, piece, grid, mode, is_pulled
        rows = rows_of(graph, piece, grid.rows, keep=mode.keeps_rows)
        columns = columns_of(graph, piece, grid.columns, keep=mode.keeps_columns)
        self.memory = segment_memory(graph, piece, rows, columns, is_pulled=is_pulled)
        self._junction = np.full(self.memory.junctions, -77, np.int8)
        self._maps = {
            name: _Map(graph.tensors[name].shape, rows[name].needed, columns[name].needed, rows[name].kept)
            for name in rows
            if name != piece.output and (name != piece.input or is_pulled)
        }

    def run(self, x: np.ndarray) -> np.ndarray:
        """The output [1, h, w, c] of the segment for its input [1, h, w, c]."""
        patches = tiles(self._graph, self._piece, self._grid, self._mode)
        if not self._is_pulled:
            self._ends(self._piece.input)[:] = x[0]
        count = self._grid.columns
        for index, patch in enumerate(patches):
            for name in self._maps:
                if index % count == 0:
                    self._maps[name].left = None
                self._arrive(name, patch)
            if self._is_pulled:
                self._put(self._piece.input, patch, x[0])
            for node in self._piece.nodes(self._graph):
                if patch.fresh[node.output].pixels:
                    self._put(node.output, patch, self._computed(node, patch))
            for name in self._maps:
                following = patches[index + 1] if (index + 1) % count else None
                below = patches[index + count :: count]
                self._leave(name, patch, following, below)
                if following is None:
                    self._maps[name].ring_start = self._maps[name].next_start
        return self._ends(self._piece.output)[None].copy()

    def _ends(self, name: str) -> np.ndarray:
        """A junction [h, w, c]: the output at the start of their block, the input at its end."""
        tensor = self._graph.tensors[name]
        start = 0 if name == self._piece.output else self._junction.size - tensor.elements
        return self._junction[start : start + tensor.elements].reshape(tensor.shape[1:])

    def _arrive(self, name: str, patch: Patch) -> None:
        """What was kept takes its place in the tile: columns from its right end, rows from the ring."""
        this, needed, fresh = self._maps[name], patch.needed[name], patch.fresh[name]
        if not needed.pixels:
            return
        if this.left is not None and self._mode.keeps_columns:
            moved = min(needed.columns.start - this.left, this.tile.shape[1])
            this.tile[:, : this.tile.shape[1] - moved] = this.tile[:, moved:].copy()
        this.left = needed.columns.start
        kept = fresh.rows.start - needed.rows.start if fresh.rows.size else needed.rows.size
        if kept and fresh.columns.size:
            first = needed.rows.start - this.ring_start
            rows = this.ring[first : first + kept, fresh.columns.start : fresh.columns.end]
            assert len(rows) == kept
            left = fresh.columns.start - needed.columns.start
            this.tile[:kept, left : left + fresh.columns.size] = rows

    def _put(self, name: str, patch: Patch, values: np.ndarray) -> None:
        """The fresh part of a map, from an array of the whole map."""
        fresh = patch.fresh[name]
        new = values[fresh.rows.start : fresh.rows.end, fresh.columns.start : fresh.columns.end]
        if name == self._piece.output:
            self._ends(name)[fresh.rows.start : fresh.rows.end, fresh.columns.start : fresh.columns.end] = new
        else:
            self._tile_part(name, patch, fresh)[:] = new

    def _tile_part(self, name: str, patch: Patch, region: Region) -> np.ndarray:
        needed = patch.needed[name]
        top, left = region.rows.start - needed.rows.start, region.columns.start - needed.columns.start
        return self._maps[name].tile[top : top + region.rows.size, left : left + region.columns.size]

    def _computed(self, node: Node, patch: Patch) -> np.ndarray:
        """The node's output [h, w, c], right where its inputs hold what the patch needs and rubbish elsewhere."""
        inputs = [None if name is None else self._seen(name, patch) for name in node.inputs]
        return TABLE[node.op].int_ref(prepare_node(self._graph, node), *inputs)[0]

    def _seen(self, name: str, patch: Patch) -> np.ndarray:
        tensor = self._graph.tensors[name]
        if tensor.is_constant:
            return tensor.data
        needed = patch.needed[name]
        values = np.random.default_rng(0).integers(-128, 128, tensor.shape).astype(np.int8)
        rows, columns = needed.rows, needed.columns
        part = values[0, rows.start : rows.end, columns.start : columns.end]
        whole = name == self._piece.input and not self._is_pulled
        part[:] = (
            self._ends(name)[rows.start : rows.end, columns.start : columns.end]
            if whole
            else self._tile_part(name, patch, needed)
        )
        return values

    def _leave(self, name: str, patch: Patch, following: Patch | None, below: tuple[Patch, ...]) -> None:
        """Columns that the next patch no longer needs give their last rows to the ring."""
        this, needed = self._maps[name], patch.needed[name]
        later = next((each.needed[name].rows for each in below if each.needed[name].pixels), None)
        if not needed.pixels or not len(this.ring):
            return
        next_left = following.needed[name].columns.start if following and following.needed[name].pixels else None
        end = needed.columns.end if next_left is None else min(next_left, needed.columns.end)
        leaving = Interval(needed.columns.start, max(end, needed.columns.start))
        if later is not None and later.start < needed.rows.end:
            start = max(later.start, needed.rows.start)
            rows = Interval(start, min(needed.rows.end, start + len(this.ring)))
            this.ring[: rows.size, leaving.start : leaving.end] = self._tile_part(name, patch, Region(rows, leaving))
            this.next_start = start
