"""Networks of random widths, layer by layer and in patches: the generated C equals the integer interpreter."""

from __future__ import annotations

import numpy as np
import pytest

from quantmcu_kit.ir.schedule import HaloMode
from quantmcu_kit.ir.types import DType
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.table import TABLE
from tests.support.patched_cases import collected
from tests.support.patched_program import PatchedProgram

CASES = 220


@pytest.fixture(scope="module")
def cases():
    return collected(CASES, packed=True)


@pytest.fixture(scope="module")
def program(cases, tmp_path_factory):
    return PatchedProgram(cases, tmp_path_factory.mktemp("packed"))


def test_code_equals_the_interpreter(program):
    program.check_all()


def test_outputs_are_not_constant(cases):
    """Widths and scales that left nothing to compare would hide errors."""
    rng = np.random.default_rng(1)
    varied = 0
    for case in cases:
        name = case.graph.inputs[0].tensor
        x = rng.integers(-128, 128, (2, *case.graph.tensors[name].shape[1:])).astype(np.int8)
        (output,) = Interpreter(case.graph, integer=True).run({name: x}).values()
        varied += len(np.unique(output)) > 2
    assert varied > 0.85 * len(cases)


def test_cases_cover_what_they_are_to_cover(cases, program):
    assert len(cases) >= 200
    nodes = [(case.graph, node) for case in cases for node in case.graph.nodes]
    by_op: dict[str, set[tuple[DType, DType]]] = {}
    weighted = set()
    for graph, node in nodes:
        ends = graph.tensors[graph.activation_inputs(node)[0]].dtype, graph.tensors[node.output].dtype
        by_op.setdefault(node.op, set()).add(ends)
        if TABLE[node.op].weight_axis is not None and node.op != "FULLY_CONNECTED":
            weighted.add((*ends, graph.tensors[node.inputs[1]].dtype))
    assert len(weighted) == 27  # every mixture of input, output and weights
    for op in ("MAX_POOL_2D", "AVERAGE_POOL_2D", "ADD", "MUL", "PAD", "CONCATENATION", "RESIZE_NEAREST_NEIGHBOR"):
        assert len(by_op[op]) >= 7, op  # of 9 mixtures
    assert len(by_op["MEAN"]) == len(by_op["FULLY_CONNECTED"]) == 3  # to the network's output
    patched = [stage.patches for case in cases for stage in case.schedule.stages if stage.patches]
    assert {patches.mode for patches in patched} == set(HaloMode)
    assert any(patches.pulls_input for patches in patched)
    assert any(patches.accumulates for patches in patched)
    assert any(entry.kept_rows for patches in patched for entry in patches.maps)
    assert any(len(case.schedule.stages) == 3 for case in cases)
    assert sum(not case.schedule.is_patched for case in cases) >= 10
    assert any(stage.pixel_bytes for plan in program.plans for stage in plan.stages)  # written into a wider map
