"""Segments and tiles: cut points by hand, and MCUNetV2's published arithmetic."""

from itertools import product

import pytest

from quantmcu_kit import passes, tflite
from quantmcu_kit.ir.region import Interval, Region
from quantmcu_kit.ir.schedule import Grid, HaloMode
from quantmcu_kit.ops.halo import map_size
from quantmcu_kit.patch.segment import Segment, cut_points, segment
from tests.support.networks import Network
from tests.support.patch_tiles import Patch, needed_regions, tiled_macs, tiles
from tests.support.topologies import mobilenet_v2

KIB = 1024
WHOLE = Grid(1, 1)


@pytest.fixture(scope="module")
def residual():
    """conv, conv, add of both, mean: a, b, c, d."""
    network = Network()
    network.map("x", (1, 8, 6, 2))
    network.conv("x", "a", 4)
    network.conv("a", "b", 4)
    network.add("a", "b", "c")
    network.mean("c", "d", [1, 2])
    return passes.run_all(tflite.load(network.build(["x"], ["d"]), name="residual"))


def test_cut_points_are_where_one_map_is_alive(residual):
    assert cut_points(residual) == ("x", "a", None, "c", "d")


def test_segments_need_cut_points_and_halo_rules(residual):
    assert segment(residual, 0, 3) == Segment(0, 3, "x", "c")
    assert segment(residual, 0, 2) is None  # a and b are both alive
    assert segment(residual, 0, 4) == Segment(0, 4, "x", "d", tail=1)  # the mean adds up
    assert segment(residual, 3, 4) is None  # nothing is left to cut into patches
    assert segment(residual, 2, 2) is None


def test_regions_of_a_residual_are_hulls(residual):
    piece = segment(residual, 0, 3)
    regions = needed_regions(residual, piece, Region(Interval(2, 4), Interval(0, 3)))
    assert regions["c"] == regions["b"] == Region(Interval(2, 4), Interval(0, 3))
    assert regions["a"] == Region(Interval(1, 5), Interval(0, 4))  # what b's window sees holds what the add reads
    assert regions["x"] == Region(Interval(0, 6), Interval(0, 5))
    unclipped = needed_regions(residual, piece, Region(Interval(2, 4), Interval(0, 3)), clip=False)
    assert unclipped["x"] == Region(Interval(0, 6), Interval(-2, 5))


def rows_of_maps(patches, what):
    """Rows of each map, patch by patch, as (start, end)."""
    names = patches[0].needed
    found = {name: [getattr(patch, what)[name].rows for patch in patches] for name in names}
    return {name: [(rows.start, rows.end) for rows in regions] for name, regions in found.items()}


def test_kept_rows_are_computed_once(residual):
    piece = segment(residual, 0, 3)
    patches = tiles(residual, piece, Grid(2, 1), HaloMode.REUSE_ROWS)
    # Two steps of four rows of c. Before c's first row, a step in which x is two rows ahead and a one, as windows are.
    assert rows_of_maps(patches, "fresh") == {
        "x": [(0, 2), (2, 6), (6, 8)],
        "a": [(0, 1), (1, 5), (5, 8)],
        "b": [(0, 0), (0, 4), (4, 8)],
        "c": [(0, 0), (0, 4), (4, 8)],
    }
    # a stays until b's windows and the add have seen it, x until a's windows have.
    assert rows_of_maps(patches, "needed")["a"] == [(0, 1), (0, 5), (3, 8)]
    assert rows_of_maps(patches, "needed")["x"] == [(0, 2), (0, 6), (4, 8)]


def test_smaller_steps_than_a_pixel():
    """Strides of two: the last map's pixel takes four steps, and no map ever moves by more than one row in a step."""
    network = Network()
    network.map("x", (1, 16, 4, 1))
    network.conv("x", "a", 1, stride=2)
    network.conv("a", "b", 1, stride=2)
    graph = passes.run_all(tflite.load(network.build(["x"], ["b"]), name="strides"))
    patches = tiles(graph, segment(graph, 0, 2), Grid(16, 1), HaloMode.REUSE_ROWS)
    fresh = rows_of_maps(patches, "fresh")
    assert {name: max(end - start for start, end in rows) for name, rows in fresh.items()} == {"x": 1, "a": 1, "b": 1}
    assert {name: sum(end - start for start, end in rows) for name, rows in fresh.items()} == {"x": 16, "a": 8, "b": 4}


def test_patches_that_recompute_are_even(residual):
    patches = tiles(residual, segment(residual, 0, 3), Grid(3, 1), HaloMode.RECOMPUTE)
    assert rows_of_maps(patches, "needed")["c"] == [(0, 2), (2, 5), (5, 8)]
    assert rows_of_maps(patches, "needed") == rows_of_maps(patches, "fresh")
    assert rows_of_maps(patches, "needed")["a"] == [(0, 3), (1, 6), (4, 8)]


@pytest.fixture(scope="module")
def mobilenet():
    return mobilenet_v2()


def test_mcunetv2_arithmetic(mobilenet):
    """MobileNetV2 at 224, 4x4 patches over its first five blocks (arXiv 2110.15352, section 3 and figure 3)."""
    stage = segment(mobilenet, 0, 13)  # the stem and four blocks
    assert mobilenet.tensors[stage.output].shape == (1, 28, 28, 32)
    once = tiled_macs(mobilenet, stage, tiles(mobilenet, stage, WHOLE, HaloMode.RECOMPUTE))
    quarters = [Interval(7 * index, 7 * index + 7) for index in range(4)]
    seen = [needed_regions(mobilenet, stage, Region(*sides), clip=False) for sides in product(quarters, quarters)]
    unclipped = [Patch(regions, regions) for regions in seen]
    assert all(patch.needed[stage.input].size.h == patch.needed[stage.input].size.w == 75 for patch in unclipped)
    assert tiled_macs(mobilenet, stage, unclipped) / once == pytest.approx(1.42, abs=0.005)
    clipped = tiled_macs(mobilenet, stage, tiles(mobilenet, stage, Grid(4, 4), HaloMode.RECOMPUTE))
    assert clipped / once == pytest.approx(1.306, abs=0.0005)
    rest = segment(mobilenet, 13, len(mobilenet.nodes))
    whole = once + tiled_macs(mobilenet, rest, tiles(mobilenet, rest, WHOLE, HaloMode.RECOMPUTE))
    classifier = 1280 * 1001  # of the published model: one class for the background
    assert whole + classifier == 300_775_552
    assert (whole + classifier - once + clipped) / 1e6 == pytest.approx(328.7, abs=0.05)


def test_mcunetv2_memory(mobilenet):
    """Largest input and output of a layer: 1372 KiB whole, 172 KiB where the first five blocks run in patches.

    As in the paper's engine, a depthwise layer writes over its input.
    """

    def held(node):
        names = {*mobilenet.activation_inputs(node), node.output}
        return names - {node.output} if node.op == "DEPTHWISE_CONV_2D" else names

    sizes = [sum(mobilenet.tensors[name].elements for name in held(node)) for node in mobilenet.nodes]
    assert round(max(sizes) / KIB) == 1372
    stage = segment(mobilenet, 0, 13)
    patch = tiles(mobilenet, stage, Grid(4, 4), HaloMode.RECOMPUTE)[5]
    in_patches = [
        mobilenet.tensors[stage.output].elements
        + sum(patch.needed[name].pixels * mobilenet.tensors[name].shape[3] for name in held(node))
        for node in stage.nodes(mobilenet)
    ]
    assert max(in_patches) < max(sizes[13:])
    assert round(max(sizes[13:]) / KIB) == 172


@pytest.mark.parametrize("grid", [Grid(4, 4), Grid(28, 1), Grid(7, 2)])
def test_reuse_costs_nothing(mobilenet, grid):
    stage = segment(mobilenet, 0, 13)
    once = tiled_macs(mobilenet, stage, tiles(mobilenet, stage, WHOLE, HaloMode.RECOMPUTE))
    assert tiled_macs(mobilenet, stage, tiles(mobilenet, stage, grid, HaloMode.REUSE)) == once
    assert map_size(mobilenet.tensors[stage.output]).h % grid.rows == 0
