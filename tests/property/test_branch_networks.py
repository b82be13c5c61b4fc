"""Networks whose patches are of two branch classes: the generated C, in the stated arena, equals the reference."""

from __future__ import annotations

import numpy as np
import pytest

from quantmcu_kit.ir.branches import Scan, inner_maps
from quantmcu_kit.ops.branches import BranchInterpreter
from tests.support.branch_cases import collected, picture
from tests.support.patched_program import WAYS, Case, PatchedProgram

CASES = 100
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


def test_code_equals_the_interpreter(cases, program):
    requests, expected = [], []
    for index, case in enumerate(cases):
        x = pictures(case)
        (output,) = reference(case).run({case.graph.inputs[0].tensor: x}).values()
        for number in range(PICTURES):
            requests += [(index, way, x[number : number + 1]) for way in range(len(WAYS))]
            expected += [output[number : number + 1]] * len(WAYS)
    for (index, way, _), got, wanted in zip(requests, program.run_all(requests), expected, strict=True):
        np.testing.assert_array_equal(got, wanted, err_msg=f"case {index}, {WAYS[way]}")


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
    assert 30 < len(scanned) < len(cases) - 30
    shares = [reference(case).classes({case.graph.inputs[0].tensor: pictures(case)}).mean() for case in cases]
    assert sum(0 < share < 1 for share in shares) > 0.5 * len(cases)
    assert min(shares) == 0 and max(shares) == 1
    stages = [case.schedule.stages[case.branches.stage] for case in cases]
    assert any(stage.patches.pulls_input for stage in stages) and not all(stage.patches.pulls_input for stage in stages)
    assert any(stage.patches.accumulates for stage in stages)
    widths = {
        tuple(graph.tensors[name].dtype.bits for graph in case.branches.graphs.values())
        for case, stage in zip(cases, stages, strict=True)
        for name in inner_maps(stage.patches)
    }
    assert len(widths) == 9  # every mixture of two
    inputs = {case.graph.tensors[stage.patches.input].dtype.bits for case, stage in zip(cases, stages, strict=True)}
    assert inputs == {8, 4, 2}  # packed ones are scanned, too
