"""Random networks in random patches: the generated C, in the stated arena, equals the network run as a whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quantmcu_kit import passes, tflite
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.schedule import Grid, HaloMode, Schedule, Stage
from quantmcu_kit.ops.halo import map_size
from quantmcu_kit.patch.lay_out import lay_out_segment
from quantmcu_kit.patch.segment import segment
from tests.support.networks import VALID, Network
from tests.support.patched_cases import collected
from tests.support.patched_program import Case, PatchedProgram

CASES = 120


def lagging_readers() -> Graph:
    """The add reads t1 long after the convolution has: rows and columns stay until both have read them."""
    network = Network()
    network.map("x", (1, 13, 5, 1))
    network.conv("x", "t1", 4, kernel=1, stride=2)
    network.pad("t1", "t2", [(0, 0), (2, 0), (0, 0), (0, 0)])
    network.conv("t2", "t3", 4, kernel=5)
    network.conv("t3", "t4", 4, kernel=3, padding=VALID)
    network.pad("t4", "t5", [(0, 0), (0, 0), (1, 1), (0, 0)])
    network.add("t5", "t1", "t6")
    return passes.run_all(tflite.load(network.build(["x"], ["t6"]), name="lagging"))


def joined_with_itself() -> Graph:
    """Columns of t1 are wanted twice in a row of patches: first beside t2, then for what t2 is made of."""
    network = Network()
    network.map("x", (1, 9, 9, 1))
    network.conv("x", "t1", 2)
    network.conv("t1", "t2", 2)
    network.concatenation(["t1", "t2"], "t3", axis=2)
    return passes.run_all(tflite.load(network.build(["x"], ["t3"]), name="joined"))


def in_pixels(graph: Graph) -> Iterator[Case]:
    """All of a network as one segment in patches of one pixel, in every mode."""
    piece = segment(graph, 0, len(graph.nodes))
    size = map_size(graph.tensors[piece.cut_map(graph)])
    for mode in HaloMode:
        for pulls in (False, True):
            patches = lay_out_segment(graph, piece, Grid(size.h, size.w), mode, is_pulled=pulls)
            yield Case(graph, Schedule((Stage(0, len(graph.nodes), patches),)))


@pytest.fixture(scope="module")
def cases():
    return [*in_pixels(lagging_readers()), *in_pixels(joined_with_itself()), *collected(CASES)]


@pytest.fixture(scope="module")
def program(cases, tmp_path_factory):
    return PatchedProgram(cases, tmp_path_factory.mktemp("patched"))


def test_code_in_patches_equals_the_whole(program):
    program.check_all()


def test_cases_cover_what_they_are_to_cover(cases, program):
    assert any(stage.pixel_bytes for plan in program.plans for stage in plan.stages)  # written into a wider map
    patched = [stage.patches for case in cases for stage in case.schedule.stages if stage.patches]
    assert len(cases) >= 100
    assert {patches.mode for patches in patched} == set(HaloMode)
    assert any(patches.pulls_input for patches in patched)
    assert any(patches.accumulates for patches in patched)
    assert any(len(case.schedule.stages) == 3 for case in cases)
    assert any(patches.grid.rows > 1 and patches.grid.columns == 1 for patches in patched)
    ops = {node.op for case in cases for node in case.graph.nodes}
    assert ops >= {"CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D", "ADD", "MUL", "PAD"}
    assert ops >= {"CONCATENATION", "RESIZE_NEAREST_NEIGHBOR", "MEAN", "FULLY_CONNECTED"}
