"""Counted work and estimated latency of networks that run patch by patch: by hand, and against emulated boards."""

from __future__ import annotations

import pytest

from quantmcu_kit import passes, pipeline, tflite
from quantmcu_kit.boards import catalog
from quantmcu_kit.emit.latency import estimate_latency, node_work, patch_costs
from quantmcu_kit.emit.layers import node_calls
from quantmcu_kit.emit.segment_work import segment_work
from quantmcu_kit.emit.work import work_of
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.schedule import Grid, HaloMode, Schedule, Stage
from quantmcu_kit.patch.lay_out import lay_out_segment
from quantmcu_kit.patch.segment import segment
from tests.budget.test_latency import CORES, CYCLES, DIGITS, check
from tests.support import arm
from tests.support.networks import VALID, Network
from tests.support.shared import model_bytes


def imported(network: Network, *outputs: str) -> Graph:
    return passes.run_all(tflite.load(network.build(["x"], list(outputs)), name="small"))


def in_patches(graph: Graph, end: int, grid: Grid, mode: HaloMode, *, is_pulled: bool = False) -> Schedule:
    """The first nodes in patches, the others whole."""
    piece = segment(graph, 0, end)
    assert piece is not None
    first = Stage(0, end, lay_out_segment(graph, piece, grid, mode, is_pulled=is_pulled))
    return Schedule((first, *([Stage(end, len(graph.nodes), None)] if end < len(graph.nodes) else ())))


def convolution() -> Graph:
    """6x6x4 -> 6x6x4 by 3x3 windows with a border of padding."""
    network = Network()
    network.map("x", (1, 6, 6, 4))
    network.conv("x", "y", 4)
    return imported(network, "y")


def work_in(stage: Stage, graph: Graph, index: int = 0) -> dict[str, float]:
    """Counts of one node of a stage."""
    ((_, work),) = node_work(graph, stage, index, node_calls(graph, graph.nodes[index])).items()
    return dict(work)


def test_work_of_parts_by_hand():
    """Two patches, each 3 rows of 6 windows and a row of padding beside the 4 rows that it reads.

    Of its 9 rows of taps 8 lie in the image; of the 6 columns of windows 4 are whole, the outer ones have 2 taps in
    the image and 1 outside. All copies begin at whole words: 12 bytes, or 4.
    """
    graph = convolution()
    (stage,) = in_patches(graph, 1, Grid(2, 1), HaloMode.RECOMPUTE).stages
    whole_rows, split_rows, rows_of_padding = 2 * 8 * 4, 2 * 8 * 2, 2 * 6
    assert work_in(stage, graph) == {
        "part_calls": 2,
        "vectors": 36,
        "blocks": 36,
        "quads": 36,
        "quad_taps": 36 * 36,
        "singles": 0,
        "single_taps": 0,
        "outputs": 36 * 4,
        "rows": 36 * 3,
        "split_rows": split_rows,
        "split_taps": split_rows * 3,
        "copies": whole_rows + split_rows * 2,
        "copied_bytes": whole_rows * 12 + split_rows * 2 * 4,
        "fills": rows_of_padding + split_rows,
        "filled_bytes": rows_of_padding * 12 + split_rows * 4,
    }


def test_work_around_parts_by_hand():
    """Patches of 3x3 pixels, two by two; the input is pulled, and rows and columns of it are kept.

    The first step reads a row ahead, so that no step needs more than 4: rows 0, 0..3 with 3 new ones, and 2..5 with 2
    new ones; and so it is with columns. Tiles of 4x4 pixels have rows of 16 bytes. Where columns move on by 2, the 1, 4
    and 4 rows that are held slide: 2 columns, 8 bytes. Three rows are saved, 1 and then 2, in pieces of no, 2 and 4
    columns; three come back, 1, 3 and 2 columns of each. As many columns are pulled of each of the 6 rows.
    """
    graph = convolution()
    (stage,) = in_patches(graph, 1, Grid(2, 2), HaloMode.REUSE, is_pulled=True).stages
    slid, saved, restored, pulled = 1 + 4 + 4, 3 * 2, 3 * 3, 6 * 3  # copies
    assert segment_work(graph, stage, [node_calls(graph, graph.nodes[0])]) == {
        "rows": 3,
        "patches": 9,
        "checks": 9,
        "parts": 4,
        "turned": 0,
        "operands": 0,
        "enters": 9,
        "leaves": 9,
        "exchanges": 9 + 6,  # all ask for rows back, and those of the last row have none to save
        "slides": 3 * 2,
        "slid_rows": slid,
        "kept_rows": saved + restored,
        "pulls": 9,
        "pulled_rows": pulled,
        "copies": slid + saved + restored + pulled,
        "copied_bytes": 9 * 8 + 3 * 8 + 3 * (4 + 12 + 8) + 6 * (4 + 12 + 8),
        "long_copies": 3,  # of 4 columns, 16 bytes
        "copied_blocks": 3,
    }


def every_layer() -> Graph:
    """Every kind of window, and pixels that come from one pixel, on maps of 4 or 8 channels."""
    network = Network()
    network.map("x", (1, 12, 10, 4))
    network.conv("x", "a", 8, stride=2)
    network.depthwise("a", "b")
    network.add("a", "b", "c")
    network.scale_channels("c", "d")
    network.pool("MAX_POOL_2D", "d", "e", window=3, stride=1)
    network.pool("AVERAGE_POOL_2D", "e", "f", window=2, stride=1)
    network.conv("f", "g", 8, kernel=3, dilation=2, padding=VALID)
    return imported(network, "g")


@pytest.mark.parametrize("grid", [Grid(1, 1), Grid(2, 1), Grid(2, 2), Grid(2, 3)], ids=str)
def test_parts_that_compute_nothing_twice_do_what_the_whole_layer_does(grid):
    """Pixels, taps, products and padding are counted once, wherever they are computed."""
    graph = every_layer()
    (stage,) = in_patches(graph, len(graph.nodes), grid, HaloMode.REUSE).stages
    for index, node in enumerate(graph.nodes):
        (call,) = node_calls(graph, node)
        in_parts, whole = work_in(stage, graph, index), work_of(call)
        spans = stage.patches.by_tensor[node.output]
        assert sum(span.fresh for span in spans.rows) == graph.tensors[node.output].shape[1], "a test of full maps"
        names = set(whole) & {
            *("vectors", "quad_taps", "pixels", "taps", "taps_of_padding", "triple_products", "single_products"),
            *("summed", "compared", "outputs", "limited_outputs", "split_taps"),
        }
        assert names
        assert {name: in_parts[name] for name in names} == {name: whole[name] for name in names}, node.name
        busy = [[span for span in axis if span.end > span.start] for axis in (spans.rows, spans.columns)]
        assert in_parts["part_calls"] == len(busy[0]) * len(busy[1])


def test_patches_that_compute_again_do_more():
    graph = every_layer()
    kept, again = (in_patches(graph, 4, Grid(3, 3), mode).stages[0] for mode in (HaloMode.REUSE, HaloMode.RECOMPUTE))
    assert work_in(again, graph)["quad_taps"] > work_in(kept, graph)["quad_taps"]
    assert work_in(again, graph, 3)["outputs"] == work_in(kept, graph, 3)["outputs"]  # of the map that is cut


@pytest.mark.parametrize("core", CORES)
def test_every_count_of_parts_is_in_the_table(core):
    table = CYCLES["cores"][core]
    graph = every_layer()
    for mode in HaloMode:
        (stage,) = in_patches(graph, len(graph.nodes), Grid(2, 3), mode).stages
        calls = [node_calls(graph, node) for node in graph.nodes]
        assert set(segment_work(graph, stage, calls)) <= set(table["segment"])
        for index, of_node in enumerate(calls):
            for kernel, work in node_work(graph, stage, index, of_node).items():
                assert set(work) <= set(table[kernel]), kernel


def test_costs_for_planning_are_near_the_estimate():
    """Whole layers by their share of pixels and calls by their number: within 3 % of what a schedule takes."""
    graph = pipeline.sized_graph(pipeline.load_model(DIGITS))
    board = catalog.find("nano33ble")
    costs = patch_costs(graph, board.cpu)
    whole = estimate_latency(graph, board)
    assert sum(costs.whole) == pytest.approx(sum(whole.layers), rel=1e-3)
    stage, rest = in_patches(graph, 4, Grid(6, 1), HaloMode.RECOMPUTE).stages
    cycles = sum(costs.whole[rest.start :])
    for node, of_whole, call in zip(graph.nodes[: stage.end], costs.whole, costs.call, strict=False):
        _, height, width, _ = graph.tensors[node.output].shape
        cycles += of_whole * stage.patches.by_tensor[node.output].pixels / (height * width) + 6 * call
    estimated = estimate_latency(graph, board, Schedule((stage, rest)))
    assert cycles == pytest.approx(estimated.cycles, rel=0.03)


@arm.needs_arm
@pytest.mark.parametrize("core", CORES)
def test_example_network_in_patches_on_every_core(core, tmp_path):
    graph = pipeline.sized_graph(pipeline.load_model(DIGITS))
    check(graph, core, tmp_path, in_patches(graph, 4, Grid(3, 3), HaloMode.REUSE))


@arm.needs_arm
@pytest.mark.parametrize(
    ("name", "end", "grid", "mode", "is_pulled"),
    [
        ("vww_96_int8", 9, Grid(4, 4), HaloMode.REUSE, True),
        ("vww_96_int8", 9, Grid(4, 1), HaloMode.RECOMPUTE, False),
        ("mcunet_vww_80_int8", 14, Grid(10, 1), HaloMode.REUSE, True),
        ("mcunet_vww_80_int8", 14, Grid(3, 2), HaloMode.REUSE_ROWS, False),
    ],
)
def test_real_networks_in_patches(name, end, grid, mode, is_pulled, tmp_path):
    graph = passes.run_all(tflite.load(model_bytes(name), name=name))
    check(graph, "cortex-m4f", tmp_path, in_patches(graph, end, grid, mode, is_pulled=is_pulled))


@arm.needs_arm
@pytest.mark.parametrize(("core", "most"), [("cortex-m3", 1.01), ("cortex-m4f", 1.10)])
def test_reuse_in_one_column_costs_little(core, most, tmp_path):
    """Nothing is computed twice: portable kernels take next to no more, in emulated cycles.

    Kernels for the DSP extension do: depthwise ones prepare weights, and rows that are kept, once per part.
    """
    graph = passes.run_all(tflite.load(model_bytes("vww_96_int8"), name="vww_96_int8"))
    whole = check(graph, core, tmp_path / "whole")
    patched = check(graph, core, tmp_path / "patched", in_patches(graph, 9, Grid(12, 1), HaloMode.REUSE))
    assert patched <= most * whole
