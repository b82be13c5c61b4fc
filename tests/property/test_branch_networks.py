"""Networks whose patches are of two branch classes: the generated C, in the stated arena, equals the reference."""

from __future__ import annotations

import numpy as np
import pytest

from quantmcu_kit import passes, tflite
from quantmcu_kit.ir.branches import MOST_SCORE, Branches, Scan, inner_maps
from quantmcu_kit.ir.plans import MIXED, OUTLIER
from quantmcu_kit.ir.schedule import Grid, HaloMode, Schedule, Stage
from quantmcu_kit.ops.branches import BranchInterpreter
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.patch.lay_out import lay_out_segment
from quantmcu_kit.patch.segment import segment
from tests.support.branch_cases import as_other_class, collected, picture
from tests.support.networks import Network
from tests.support.packed_networks import narrowed
from tests.support.patched_program import WAYS, Case, PatchedProgram

CASES, KEPT_CASES = 100, 60
PICTURES = 2


@pytest.fixture(scope="module")
def cases():
    return collected(CASES)


@pytest.fixture(scope="module")
def program(cases, tmp_path_factory):
    return PatchedProgram(cases, tmp_path_factory.mktemp("branches"))


def pictures(case: Case) -> np.ndarray:
    """int8 [n, h, w, c]."""
    shape = case.graph.tensors[case.graph.inputs[0].tensor].shape
    rng = np.random.default_rng(0)
    return np.concatenate([picture(shape, rng) for _ in range(PICTURES)])


def reference(case: Case) -> BranchInterpreter:
    return BranchInterpreter(case.graph, case.schedule, case.branches)


def stage_of(case: Case) -> Stage:
    """The one with classes."""
    return case.schedule.stages[case.branches.stage]


def test_code_equals_the_interpreter(cases, program):
    assert_equal(cases, program)


def assert_equal(cases: list[Case], program: PatchedProgram) -> None:
    requests, expected = [], []
    for index, case in enumerate(cases):
        x = pictures(case)
        (output,) = reference(case).run({case.graph.inputs[0].tensor: x}).values()
        for number in range(PICTURES):
            requests += [(index, way, x[number : number + 1]) for way in range(len(WAYS))]
            expected += [output[number : number + 1]] * len(WAYS)
    for (index, way, _), got, wanted in zip(requests, program.run_all(requests), expected, strict=True):
        np.testing.assert_array_equal(got, wanted, err_msg=f"case {index}, {WAYS[way]}")


def test_code_equals_the_interpreter_where_rows_are_kept(tmp_path):
    """By the three ways, for patches of mixed classes, whose kept rows other classes take back."""
    cases = collected(KEPT_CASES, HaloMode.REUSE_ROWS)
    assert len(cases) == KEPT_CASES
    assert_equal(cases, PatchedProgram(cases, tmp_path))
    shares = [reference(case).classes({case.graph.inputs[0].tensor: pictures(case)}).mean() for case in cases]
    assert sum(0 < share < 1 for share in shares) > 0.6 * KEPT_CASES
    pulls = [stage_of(case).patches.pulls_input for case in cases]
    assert any(pulls) and not all(pulls)
    assert any(stage_of(case).patches.accumulates for case in cases)
    widths = {
        tuple(graph.tensors[name].dtype.bits for graph in case.branches.graphs.values())
        for case in cases
        for name in inner_maps(stage_of(case).patches)
        if stage_of(case).patches.by_tensor[name].kept_rows
    }
    assert len(widths) == 9  # every mixture of two


def test_classes_matter(cases):
    """A class that changed nothing would hide a wrong choice: in most networks each class gives another output."""
    differ = 0
    for case in cases:
        name, x = case.graph.inputs[0].tensor, pictures(case)
        rules = [Scan(np.full(256, score, np.uint16), 0) for score in (0, 1)]
        outputs = []
        for rule in rules:
            branches = type(case.branches)(case.branches.stage, case.branches.graphs, rule)
            (output,) = BranchInterpreter(case.graph, case.schedule, branches).run({name: x}).values()
            outputs.append(output)
        differ += not np.array_equal(*outputs)
    assert differ > 0.6 * len(cases)


def test_cases_cover_what_they_are_to_cover(cases, program):
    assert len(cases) >= 100
    scanned = [case for case in cases if isinstance(case.branches.rule, Scan)]
    assert len(scanned) == len(cases) // 2
    shares = [reference(case).classes({case.graph.inputs[0].tensor: pictures(case)}).mean() for case in cases]
    assert sum(0 < share < 1 for share in shares) > 0.5 * len(cases)
    assert min(shares) == 0 and max(shares) == 1
    stages = list(map(stage_of, cases))
    assert any(stage.patches.pulls_input for stage in stages) and not all(stage.patches.pulls_input for stage in stages)
    assert any(stage.patches.accumulates for stage in stages)
    widths = {
        tuple(graph.tensors[name].dtype.bits for graph in case.branches.graphs.values())
        for case, stage in zip(cases, stages, strict=True)
        for name in inner_maps(stage.patches)
    }
    assert len(widths) == 9  # every mixture of two
    inputs = {
        case.graph.tensors[case.schedule.stages[case.branches.stage].patches.input].dtype.bits for case in scanned
    }
    assert inputs == {8, 4, 2}  # packed ones are scanned, too


def test_scores_are_added_up_in_32_bits(tmp_path):
    """A patch of some 36,000 values with the largest scores: beyond 2^31, and just above or below the limit."""
    network = Network()
    network.map("x", (1, 110, 110, 3))
    network.conv("x", "m", 2, stride=4)
    network.conv("m", "y", 2, stride=4)
    graph = passes.run_all(tflite.load(network.build(["x"], ["y"]), name="large"))
    graph = narrowed(graph, np.random.default_rng(0), dict.fromkeys(graph.tensors, 8))
    patches = lay_out_segment(graph, segment(graph, 0, 2), Grid(1, 1), HaloMode.RECOMPUTE, is_pulled=False)
    assert patches.maps[0].pixels * 3 * MOST_SCORE > 1 << 31
    table = np.full(256, MOST_SCORE, np.uint16)
    table[0] -= 2
    narrow = as_other_class(graph, inner_maps(patches), np.random.default_rng(0), 2)
    branches = Branches(0, {OUTLIER: graph, MIXED: narrow}, Scan(table, MOST_SCORE - 1))
    case = Case(graph, Schedule((Stage(0, 2, patches),)), branches)
    x = np.repeat(np.array([0, 5], np.int8), 110 * 110 * 3).reshape(2, 110, 110, 3)
    expected = reference(case).run({"x": x})["y"]
    assert reference(case).classes({"x": x}).ravel().tolist() == [False, True]
    wholes = [Interpreter(each, integer=True).run({"x": x})["y"] for each in (narrow, graph)]
    assert (wholes[0] != wholes[1]).any(axis=(1, 2, 3)).all()
    program = PatchedProgram([case], tmp_path)
    got = program.run_all([(0, 0, x[index : index + 1]) for index in range(2)])
    np.testing.assert_array_equal(np.concatenate(got), expected)
