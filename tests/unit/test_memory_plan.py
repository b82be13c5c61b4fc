"""Lifetimes of a graph's maps: views, results in place, scratch, and what must survive."""

import pytest

from quantmcu_kit import memory
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.types import Activation
from quantmcu_kit.memory.liveness import find_lifetimes
from quantmcu_kit.ops import add, concatenation, reshape
from quantmcu_kit.ops.spec import NoAttrs
from tests.support.small_graphs import GraphBuilder, conv_chain

MAP = (1, 8, 8, 4)
ADD = add.Attrs(Activation.NONE)


def lifetimes(graph: Graph) -> dict[str, tuple[int, int]]:
    """(first, last) of the block that holds each feature map."""
    found = find_lifetimes(graph)
    return {name: (found.blocks[index].first, found.blocks[index].last) for name, index in found.maps.items()}


def test_every_map_of_a_chain_lives_from_its_writer_to_its_reader():
    assert lifetimes(conv_chain()) == {"picture": (0, 0), "stem": (0, 1), "block/reduce": (1, 2), "head": (2, 2)}


def test_scratch_lives_for_one_step():
    found = find_lifetimes(conv_chain())
    blocks = {name: found.blocks[index] for name, index in found.scratch.items()}
    assert {name: (block.size, block.first, block.last) for name, block in blocks.items()} == {
        "stem": (3 * 3 * 3, 0, 0),
        "block/reduce": (3 * 3 * 4, 1, 1),
    }


def residual(outputs: tuple[str, ...] = ("sum",)) -> Graph:
    """x -> a -> b, sum = a + b: a outlives b's computation."""
    builder = GraphBuilder()
    builder.feature_map("x", MAP)
    builder.conv("x", "a", 4)
    builder.conv("a", "b", 4)
    builder.node("ADD", "sum", MAP, ADD, "a", "b")
    return builder.build(("x",), outputs)


def test_sum_takes_over_an_operand_that_dies():
    plan = memory.plan(residual())
    assert plan.stages[0].offsets["sum"] == plan.stages[0].offsets["a"]
    # x, a | a, b | a=sum, b: two maps of 256 bytes and the largest window of scratch.
    assert plan.arena_bytes == plan.lower_bound_bytes == 256 + 256 + 48


def test_sum_leaves_an_operand_that_is_an_output():
    plan = memory.plan(residual(outputs=("a", "sum")))
    assert plan.stages[0].offsets["sum"] == plan.stages[0].offsets["b"]
    assert lifetimes(residual(outputs=("a", "sum")))["a"] == (0, 2)


def test_sum_gets_its_own_block_when_both_operands_survive():
    graph = residual(outputs=("a", "b", "sum"))
    plan = memory.plan(graph)
    assert len({plan.stages[0].offsets[name] for name in ("a", "b", "sum")}) == 3


def test_result_in_place_must_have_the_operands_size():
    builder = GraphBuilder()
    builder.feature_map("x", MAP)
    builder.feature_map("per_channel", (1, 4))
    builder.node("ADD", "sum", MAP, ADD, "per_channel", "x")
    plan = memory.plan(builder.build(("x", "per_channel"), ("sum",)))
    assert plan.stages[0].offsets["sum"] == plan.stages[0].offsets["x"] != plan.stages[0].offsets["per_channel"]


def test_network_input_may_be_overwritten_by_its_last_reader():
    builder = GraphBuilder()
    builder.feature_map("x", MAP)
    builder.node("RELU", "y", MAP, NoAttrs(), "x", like="x")
    plan = memory.plan(builder.build(("x",), ("y",)))
    assert plan.stages[0].offsets["y"] == plan.stages[0].offsets["x"] == 0
    assert plan.arena_bytes == 256


def reshaped(outputs: tuple[str, ...]) -> Graph:
    """a -> view -> relu, while a is read again at the end."""
    builder = GraphBuilder()
    builder.feature_map("x", MAP)
    builder.conv("x", "a", 4)
    builder.node("RESHAPE", "view", (1, 256), reshape.Attrs((1, 256)), "a", like="a")
    builder.node("RELU", "y", (1, 256), NoAttrs(), "view", like="a")
    builder.conv("a", "z", 4)
    return builder.build(("x",), outputs)


def test_view_shares_its_sources_block_and_keeps_it_alive():
    graph = reshaped(("y", "z"))
    plan = memory.plan(graph)
    offsets = plan.stages[0].offsets
    assert offsets["view"] == offsets["a"]
    assert offsets["y"] != offsets["a"], "a is read again after the view: RELU must not overwrite it"


@pytest.mark.parametrize("name", ["x", "a", "view", "y", "z"])
def test_every_map_has_a_place_inside_the_arena(name):
    graph = reshaped(("y", "z"))
    plan = memory.plan(graph)
    assert 0 <= plan.stages[0].offsets[name] <= plan.arena_bytes - graph.tensors[name].bytes


def test_output_that_is_the_input_stays_whole():
    builder = GraphBuilder()
    builder.feature_map("x", MAP)
    builder.conv("x", "y", 4)
    assert lifetimes(builder.build(("x",), ("x", "y"))) == {"x": (0, 0), "y": (0, 0)}
    plan = memory.plan(builder.build(("x",), ("x", "y")))
    assert plan.stages[0].offsets["x"] != plan.stages[0].offsets["y"]


def joined_by(axis: int, *, readers: int = 1) -> Graph:
    """a and b, joined along an axis; a has a second reader where ``readers`` is 2."""
    builder = GraphBuilder()
    builder.feature_map("x", MAP)
    builder.conv("x", "a", 4)
    builder.conv("x", "b", 4)
    shape = tuple(2 * size if index == axis else size for index, size in enumerate(MAP))
    builder.node("CONCATENATION", "both", shape, concatenation.Attrs(axis), "a", "b")
    if readers == 1:
        return builder.build(("x",), ("both",))
    builder.conv("a", "c", 4)
    return builder.build(("x",), ("both", "c"))


def test_rows_are_joined_where_they_are_written():
    (stage,) = memory.plan(joined_by(1, readers=2)).stages
    assert stage.offsets["a"] == stage.offsets["both"]
    assert stage.offsets["b"] == stage.offsets["both"] + 8 * 8 * 4
    assert stage.pixel_bytes == {}


def test_channels_are_written_apart():
    (stage,) = memory.plan(joined_by(3)).stages
    assert stage.offsets["b"] == stage.offsets["both"] + 4
    assert stage.pixel_bytes == {"a": 8, "b": 8}
    # x, both and the largest window: a and b have no memory of their own.
    assert stage.bytes == 256 + 512 + 48


def test_a_map_that_others_read_too_is_not_written_apart():
    (stage,) = memory.plan(joined_by(3, readers=2)).stages
    assert stage.pixel_bytes == {"b": 8}


def test_maps_go_to_external_ram_only_where_they_must():
    graph = conv_chain()
    inside = memory.plan(graph)
    assert inside.external_bytes == memory.plan(graph, internal_bytes=inside.arena_bytes).external_bytes == 0
    spilled = memory.plan(graph, internal_bytes=inside.arena_bytes - 1)
    assert spilled.arena_bytes < inside.arena_bytes
    (stage,) = spilled.stages
    assert stage.external and spilled.external_bytes >= max(graph.tensors[name].bytes for name in stage.external)


def test_all_maps_leave_an_arena_of_nothing_but_scratch_stays():
    graph = conv_chain()
    plan = memory.plan(graph, internal_bytes=0)
    assert plan.stages[0].external == {tensor.name for tensor in graph.feature_maps()}
    assert plan.arena_bytes == 48  # the largest window, 3x3x4, aligned
