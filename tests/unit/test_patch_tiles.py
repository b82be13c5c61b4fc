"""Segments and tiles: cut points by hand, and MCUNetV2's published arithmetic."""

import pytest

from quantmcu_kit import passes, tflite
from quantmcu_kit.ir.region import Interval, Region
from quantmcu_kit.ops.halo import map_size
from quantmcu_kit.patch.segment import Segment, cut_points, segment
from quantmcu_kit.patch.tiles import Grid, HaloMode, needed_regions, split, tiled_macs, tiles
from tests.support.networks import Network
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


def test_reuse_leaves_what_is_new(residual):
    piece = segment(residual, 0, 3)
    first, second = tiles(residual, piece, Grid(2, 1), HaloMode.REUSE_ROWS)
    assert first.fresh["a"].rows == Interval(0, 5) and second.needed["a"].rows == Interval(3, 8)
    assert second.fresh["a"].rows == Interval(5, 8) and second.fresh["x"].rows == Interval(6, 8)
    again = tiles(residual, piece, Grid(2, 1), HaloMode.RECOMPUTE)[1]
    assert again.fresh == again.needed


def test_split_is_even():
    assert split(7, 3) == (Interval(0, 2), Interval(2, 4), Interval(4, 7))


@pytest.fixture(scope="module")
def mobilenet():
    return mobilenet_v2()


def test_mcunetv2_arithmetic(mobilenet):
    """MobileNetV2 at 224, 4x4 patches over its first five blocks (arXiv 2110.15352, section 3 and figure 3)."""
    stage = segment(mobilenet, 0, 13)  # the stem and four blocks
    assert mobilenet.tensors[stage.output].shape == (1, 28, 28, 32)
    once = tiled_macs(mobilenet, stage, tiles(mobilenet, stage, WHOLE, HaloMode.RECOMPUTE))
    unclipped = tiles(mobilenet, stage, Grid(4, 4), HaloMode.RECOMPUTE, clip=False)
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
