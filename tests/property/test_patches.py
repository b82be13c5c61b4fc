"""Patch by patch equals whole, byte for byte, when each patch sees no more than its regions."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.region import Region
from quantmcu_kit.ir.schedule import Grid, HaloMode
from quantmcu_kit.ops.halo import map_size
from quantmcu_kit.ops.interpret import Interpreter, prepare_node
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.patch.segment import Segment, segment
from tests.support.patch_tiles import tiled_macs, tiles
from tests.support.random_networks import random_maps


def part(values: np.ndarray, region: Region) -> np.ndarray:
    """A region of maps [1, h, w, c]."""
    return values[:, region.rows.start : region.rows.end, region.columns.start : region.columns.end]


def run_in_patches(graph: Graph, piece: Segment, x: np.ndarray, grid: Grid, mode: HaloMode) -> np.ndarray:
    """The segment's output. What a patch did not compute is rubbish, and so is what of the input it may not see."""
    rng = np.random.default_rng(0)

    def rubbish(name: str) -> np.ndarray:
        return rng.integers(-128, 128, graph.tensors[name].shape).astype(np.int8)

    names = [piece.input, *(node.output for node in piece.nodes(graph))]
    maps = {name: rubbish(name) for name in names}
    result = np.full(graph.tensors[piece.output].shape, 77, np.int8)
    for patch in tiles(graph, piece, grid, mode):
        if mode is HaloMode.RECOMPUTE:
            maps = {name: rubbish(name) for name in names}
        seen = patch.fresh[piece.input]
        part(maps[piece.input], seen)[:] = part(x, seen)
        for node in piece.nodes(graph):
            inputs = [None if name is None else maps.get(name, graph.tensors[name].data) for name in node.inputs]
            values = TABLE[node.op].int_ref(prepare_node(graph, node), *inputs)
            part(maps[node.output], patch.fresh[node.output])[:] = part(values, patch.fresh[node.output])
        wanted = patch.needed[piece.output]
        part(result, wanted)[:] = part(maps[piece.output], wanted)
    return result


@settings(max_examples=120, deadline=None, derandomize=True)
@given(random_maps(), st.integers(1, 4), st.integers(1, 4), st.sampled_from(HaloMode))
def test_patches_equal_the_whole(graph, rows, columns, mode):
    piece = segment(graph, 0, len(graph.nodes))
    assume(piece is not None)
    size = map_size(graph.tensors[piece.output])
    grid = Grid(min(rows, size.h), min(columns, size.w))
    x = np.random.default_rng(1).integers(-128, 128, graph.tensors[piece.input].shape).astype(np.int8)
    whole = Interpreter(graph, integer=True).run({piece.input: x})[piece.output]
    np.testing.assert_array_equal(run_in_patches(graph, piece, x, grid, mode), whole)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(random_maps(), st.integers(1, 5), st.integers(1, 5))
def test_reuse_computes_nothing_twice(graph, rows, columns):
    piece = segment(graph, 0, len(graph.nodes))
    assume(piece is not None)
    size = map_size(graph.tensors[piece.output])
    grid = Grid(min(rows, size.h), min(columns, size.w))
    macs = {mode: tiled_macs(graph, piece, tiles(graph, piece, grid, mode)) for mode in HaloMode}
    once = tiled_macs(graph, piece, tiles(graph, piece, Grid(1, 1), HaloMode.RECOMPUTE))
    # Less than once where a stride beyond its window skips pixels between two patches.
    assert macs[HaloMode.REUSE] <= once
    assert macs[HaloMode.REUSE] <= macs[HaloMode.REUSE_ROWS] <= macs[HaloMode.RECOMPUTE]
    for mode in (HaloMode.REUSE, HaloMode.REUSE_ROWS):
        computed = {}
        for patch in tiles(graph, piece, Grid(grid.rows, 1), mode):
            for name, region in patch.fresh.items():
                computed.setdefault(name, []).append(region.rows)
        for intervals in computed.values():
            kept = [interval for interval in intervals if interval.size]
            assert all(a.end <= b.start for a, b in zip(kept, kept[1:], strict=False))
