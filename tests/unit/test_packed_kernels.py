"""Kernels on maps and weights of 8, 4 and 2 bits against the Python integer reference, whole and in parts.

The reference itself is held to definitions in tests/property/test_subbyte.py. Bits of a pixel that no channel has are
ones in inputs and ignored in outputs.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.table import TABLE
from tests.ops import cases_packed_elementwise, cases_packed_weighted
from tests.ops.packed_case import PackedCase, random_for
from tests.support.c_program import CProgram
from tests.support.kernel_parts import KernelParts, LayOut, has_sums, random_jobs
from tests.support.packed_maps import loaded

CASES: tuple[PackedCase, ...] = (*cases_packed_weighted.CASES, *cases_packed_elementwise.CASES)
PICTURES = 4


def is_on_maps(case: PackedCase) -> bool:
    tensors = [case.graph.tensors[port.tensor] for port in (*case.graph.inputs, *case.graph.outputs)]
    return TABLE[case.graph.nodes[0].op].halo is not None and all(len(tensor.shape) == 4 for tensor in tensors)


ON_MAPS = [case for case in CASES if is_on_maps(case)]
SUMMED = [case for case in CASES if has_sums(case.graph)]
IN_PARTS = list(dict.fromkeys((*ON_MAPS, *SUMMED)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> CProgram:
    return CProgram([case.graph for case in CASES], tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> KernelParts:
    return KernelParts([case.graph for case in IN_PARTS], tmp_path_factory.mktemp("parts"))


def reference(case: PackedCase, pictures: list[np.ndarray]) -> np.ndarray:
    named = {port.tensor: values for port, values in zip(case.graph.inputs, pictures, strict=True)}
    return Interpreter(case.graph, integer=True).run(named)[case.graph.outputs[0].tensor]


def as_map(x: Tensor) -> tuple[int, int, int]:
    """A map with the values of an input: its own shape or, for a vector, some pixels."""
    if len(x.shape) == 4:
        return x.shape[1:]
    pixels = next(count for count in (5, 3, 2, 1) if x.elements % count == 0)
    return 1, pixels, x.elements // pixels


def test_case_names_are_unique():
    assert len({str(case) for case in CASES}) == len(CASES)


@pytest.mark.parametrize("index", range(len(CASES)), ids=[str(case) for case in CASES])
def test_c_equals_integers(whole, index):
    pictures = CASES[index].pictures(PICTURES)
    np.testing.assert_array_equal(whole.run(index, pictures), reference(CASES[index], pictures))


@pytest.mark.parametrize("case", ON_MAPS, ids=str)
def test_parts_equal_the_whole(parts, case):
    """A part reads nothing but its halo, writes nothing but its region, and writes what the whole has there."""
    rng = random_for(str(case))
    jobs, expected = [], []
    batch = case.pictures(2)
    for picture, output in zip(zip(*batch, strict=True), reference(case, batch), strict=True):
        more = random_jobs(case.graph, picture, output, rng)
        jobs += more[0]
        expected += more[1]
    for job, block, after in zip(jobs, parts.parts(IN_PARTS.index(case), jobs), expected, strict=True):
        assert block.size == after.block.size
        after.block[:] = after.without_rubbish(job[2])
        actual = dataclasses.replace(after, block=block).without_rubbish(job[2])
        np.testing.assert_array_equal(actual, after.block, err_msg=str(job[2]))


@pytest.mark.parametrize("case", SUMMED, ids=str)
def test_sums_over_parts_equal_the_whole(parts, case):
    rng = random_for(str(case))
    lay_out = LayOut(rng)
    (x,) = (case.graph.tensors[port.tensor] for port in case.graph.inputs)
    output = case.graph.tensors[case.graph.outputs[0].tensor]
    (pictures,) = case.pictures(3)
    for picture in pictures:
        values = picture.reshape(as_map(x))
        jobs = []
        for region in rng.permutation(np.array(lay_out.split(values.shape[:2]), object)):
            jobs.append((lay_out.buffer(values.shape, region, x.dtype, wide=False), region))
            jobs[-1][0].put(region, values)
        sums = parts.sum(IN_PARTS.index(case), has_sums(case.graph), output.bytes, values.shape[1], jobs)
        expected = reference(case, [picture[None]])
        np.testing.assert_array_equal(loaded(sums, output.dtype, output.shape), expected)
