"""Bytes of maps of 4 and 2 bits in the arena and in patches, by hand and by the definitions."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantmcu_kit import memory
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.schedule import Grid, HaloMode, Schedule, Stage
from quantmcu_kit.ir.types import Activation, DType, Quant
from quantmcu_kit.memory.liveness import find_lifetimes
from quantmcu_kit.ops import add, concatenation, reshape
from quantmcu_kit.ops.interpret import is_alias
from quantmcu_kit.patch.lay_out import lay_out, lay_out_segment
from quantmcu_kit.patch.plan import plan_front
from quantmcu_kit.patch.segment import segment, tail_length
from tests.support.packed_networks import narrowed
from tests.support.patched_libraries import small_network
from tests.support.random_networks import random_maps
from tests.support.small_graphs import GraphBuilder

MAP = (1, 8, 8, 5)


def with_bits(graph: Graph, bits: dict[str, int]) -> Graph:
    """The graph with some maps narrower than 8 bits."""
    quants = {width: Quant.per_tensor(0.5, 1) for width in (4, 2)}
    narrow = {
        name: dataclasses.replace(graph.tensors[name], dtype=DType.feature_map(width), quant=quants[width])
        for name, width in bits.items()
    }
    return graph.replace(tensors={**graph.tensors, **narrow})


def chain() -> Graph:
    """x -> a -> b -> y, 8x8 pixels of 5 channels."""
    builder = GraphBuilder()
    builder.feature_map("x", MAP)
    for source, target in itertools.pairwise("xaby"):
        builder.conv(source, target, 5, kernel=3)
    return builder.build(("x",), ("y",))


@pytest.mark.parametrize(("bits", "pixel"), [(8, 5), (4, 3), (2, 2)])
def test_a_map_takes_whole_bytes_per_pixel(bits, pixel):
    graph = with_bits(chain(), {"a": bits}) if bits < 8 else chain()
    assert graph.tensors["a"].pixel_bytes == pixel
    found = find_lifetimes(graph)
    assert found.blocks[found.maps["a"]].size == 64 * pixel


def test_sum_takes_the_place_of_an_operand_of_its_own_bytes():
    builder = GraphBuilder()
    builder.feature_map("x", MAP)
    builder.conv("x", "a", 5)
    builder.conv("x", "b", 5)
    builder.node("ADD", "sum", MAP, add.Attrs(Activation.NONE), "a", "b")
    builder.conv("sum", "y", 5)
    graph = with_bits(builder.build(("x",), ("y",)), {"b": 4, "sum": 4})
    offsets = memory.plan(graph).stages[0].offsets
    assert offsets["sum"] == offsets["b"] != offsets["a"]


def viewed(channels: int, bits: int) -> Graph:
    """x -> a -> view as one row -> y; a has 3x3 pixels."""
    builder = GraphBuilder()
    builder.feature_map("x", (1, 3, 3, 3))
    builder.conv("x", "a", channels)
    shape = (1, 9 * channels)
    builder.node("RESHAPE", "view", shape, reshape.Attrs(shape), "a", like="a")
    builder.node("RESHAPE", "back", (1, 3, 3, channels), reshape.Attrs((1, 3, 3, channels)), "view", like="a")
    builder.conv("back", "y", 1)
    graph = builder.build(("x",), ("y",))
    return with_bits(graph, {"a": bits, "view": bits, "back": bits}) if bits < 8 else graph


@pytest.mark.parametrize(("channels", "bits", "shares"), [(3, 8, True), (4, 4, True), (3, 4, False), (6, 2, False)])
def test_a_view_shares_bytes_only_where_pixels_fill_them(channels, bits, shares):
    graph = viewed(channels, bits)
    assert [is_alias(graph, graph.nodes[index]) for index in (1, 2)] == [shares, shares]
    found = find_lifetimes(graph)
    assert (found.maps["view"] == found.maps["a"]) == shares
    assert found.blocks[found.maps["view"]].size >= -(-9 * channels * bits // 8)


def joined(axis: int, channels: tuple[int, ...], bits: int) -> Graph:
    """Maps of 8x8 pixels, joined along an axis, then read by a convolution."""
    builder = GraphBuilder()
    builder.feature_map("x", (1, 8, 8, 3))
    names = [builder.conv("x", f"part{index}", count) for index, count in enumerate(channels)]
    shape = [1, 8, 8, channels[0]]
    shape[axis] = sum(channels) if axis == 3 else 8 * len(channels)
    builder.node("CONCATENATION", "whole", tuple(shape), concatenation.Attrs(axis), *names)
    builder.conv("whole", "y", 1)
    return with_bits(builder.build(("x",), ("y",)), dict.fromkeys((*names, "whole"), bits))


@pytest.mark.parametrize(
    ("channels", "bits", "offsets", "pixel"),
    [
        ((4, 4), 4, {"part0": 0, "part1": 2}, 4),
        ((4, 3), 4, {"part0": 0, "part1": 2}, 4),  # half of the last byte is nobody's
        ((3, 4), 4, {}, 4),  # they share a byte
        ((4, 3, 1), 4, {"part0": 0}, 4),
        ((4, 8, 1), 2, {"part0": 0, "part1": 1, "part2": 3}, 4),
        ((4, 2, 4), 2, {"part0": 0}, 3),
    ],
)
def test_channels_are_written_apart_where_they_fill_bytes(channels, bits, offsets, pixel):
    homes = find_lifetimes(joined(3, channels, bits), join=True).homes
    assert {name: home.offset for name, home in homes.items()} == offsets
    assert {home.pixel_bytes for home in homes.values()} <= {pixel}


@pytest.mark.parametrize("axis", [1, 2])
def test_rows_are_joined_at_whole_pixels(axis):
    (stage,) = memory.plan(joined(axis, (5, 5), 4)).stages
    assert stage.pixel_bytes == {}
    assert stage.joined == ({"part0": "whole", "part1": "whole"} if axis == 1 else {})
    if axis == 1:
        assert stage.offsets["part1"] - stage.offsets["whole"] == 64 * 3


def test_a_narrower_part_is_not_joined_in_place():
    graph = with_bits(joined(3, (4, 4), 4), {"part0": 2})
    assert set(find_lifetimes(graph, join=True).homes) == {"part1"}


def patches_of(graph: Graph, grid: tuple[int, int], mode: HaloMode) -> Schedule:
    piece = segment(graph, 0, len(graph.nodes))
    return Schedule((Stage(0, piece.end, lay_out_segment(graph, piece, Grid(*grid), mode, is_pulled=False)),))


def test_tiles_and_kept_rows():
    graph = with_bits(chain(), {"a": 4, "b": 2})
    (stage,) = memory.plan(graph, patches_of(graph, (8, 8), HaloMode.REUSE)).stages
    sizes = {block.name: block.size for block in stage.lifetimes}
    # Patches of one pixel: tiles of 3x3, and two rows of 8 pixels beside them; 5 channels of 4 and of 2 bits.
    assert (sizes["a"], sizes["kept rows of a"]) == (9 * 3, 16 * 3)
    assert (sizes["b"], sizes["kept rows of b"]) == (9 * 2, 16 * 2)


def test_ends_of_a_segment():
    """Of the middle one of three stages: 8x8 pixels of 3 bytes come in, as many of 2 bytes go out."""
    graph = with_bits(chain(), {"a": 4, "b": 2})
    piece = segment(graph, 1, 2)
    rows = lay_out_segment(graph, piece, Grid(8, 1), HaloMode.REUSE, is_pulled=False)
    # Row r of b is written after row r + 1 of a was read, which is needed again: rows of b end before it does.
    below = max((r + 1) * 8 * 2 - max(r - 1, 0) * 8 * 3 for r in range(8))
    assert rows.junction_bytes == 64 * 3 + -(-below // 4) * 4


@settings(max_examples=60, deadline=None, derandomize=True)
@given(random_maps(5, reduces=True), st.integers(0, 2**32 - 1), st.booleans())
def test_plans_are_what_memory_takes(network, seed, pulls):
    """The planner's arrays, over all grids, against the blocks that are placed."""
    graph = narrowed(network, np.random.default_rng(seed))
    for plan in plan_front(graph, pull_input=pulls)[::3]:
        placed = memory.plan(graph, lay_out(graph, plan))
        if not any(stage.joined for stage in placed.stages):  # these are not foreseen, and only save
            assert placed.lower_bound_bytes == -(-plan.ram_bytes // 16) * 16


@pytest.mark.parametrize(("bits", "tail"), [({"pool": 4, "flat": 4}, 2), ({"pool": 4, "flat": 2}, 0), ({"pool": 4}, 0)])
def test_views_at_the_end_of_a_segment_leave_values_as_they_are(bits, tail):
    """They are left out there: what follows reads the pixels of the map."""
    graph = with_bits(small_network(), bits)
    assert tail_length(graph, len(graph.nodes)) == tail
