"""``binary_table``: sums, differences and products of packed maps, on the host, against the integer reference."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.types import Activation
from quantmcu_kit.ops import binary
from quantmcu_kit.ops.interpret import Interpreter, kernel_calls, prepare_node
from quantmcu_kit.ops.variants import binary_table
from tests.ops.packed_case import PackedCase, case, feature_map, random_for
from tests.support.c_program import CProgram
from tests.support.kernel_parts import KernelParts, random_jobs

SHAPES = ((1, 1, 1, 1), (1, 3, 4, 3), (1, 5, 3, 8), (1, 2, 7, 5), (1, 3, 2, 33), (1, 4, 4, 16))
WIDTHS = tuple(itertools.product((4, 2), (4, 2), (8, 4, 2)))
# Scales of both operands and the output, of values over the whole type.
SCALES = ((1.0, 0.4, 1.2), (0.3, 1.0, 0.8), (1.0, 1.0, 1.3), (1.0, 0.0004, 1.0), (0.0001, 2.0, 4.0), (1.0, 0.9, 0.05))
_SPAN = 6.0


def binary_case(shape: tuple[int, ...], widths: tuple[int, int, int], index: int) -> PackedCase:
    """Operators, scales, zero-points and activations in turn."""
    op = ("ADD", "SUB", "MUL", "ADD")[index % 4]
    activation = tuple(Activation)[index % len(Activation)]
    name = f"{'x'.join(map(str, shape))}-{'-'.join(map(str, widths))}-{index}"
    rng = random_for(name)
    maps = []
    for label, bits, scale in zip("aby", widths, SCALES[index % len(SCALES)], strict=True):
        low, high = (-128, 127) if bits == 8 else (0, 2**bits - 1)
        maps.append(feature_map(label, shape, bits, _SPAN * scale / (high - low), int(rng.integers(low, high + 1))))
    made = case(name, op, binary.Attrs(activation), tuple(maps[:2]), maps[2])
    (node,) = made.graph.nodes
    assert binary_table.supports(prepare_node(made.graph, node))
    return PackedCase(name, made.graph.replace(nodes=[dataclasses.replace(node, kernel="binary_table")]))


CASES = [binary_case(*each, index) for index, each in enumerate(itertools.product(SHAPES, WIDTHS))]
IDS = [str(each) for each in CASES]


def reference(graph: Graph, *pictures: np.ndarray) -> np.ndarray:
    return Interpreter(graph, integer=True).run(dict(zip("ab", pictures, strict=True)))["y"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> CProgram:
    return CProgram([case.graph for case in CASES], tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> KernelParts:
    return KernelParts([case.graph for case in CASES], tmp_path_factory.mktemp("parts"))


@pytest.mark.parametrize("index", range(len(CASES)), ids=IDS)
def test_c_equals_integers(whole, index):
    pictures = CASES[index].pictures(5)
    np.testing.assert_array_equal(whole.run(index, pictures), reference(CASES[index].graph, *pictures))


@pytest.mark.parametrize("index", range(len(CASES)), ids=IDS)
def test_parts_equal_the_whole(parts, index):
    """Regions of all kinds, in tiles, rings and wider maps, and in the place of an operand."""
    case = CASES[index]
    pictures = case.pictures(3)
    expected_map = reference(case.graph, *pictures)[2]
    rng = random_for(str(case))
    jobs, expected = random_jobs(case.graph, [each[2] for each in pictures], expected_map, rng)
    for job, block, after in zip(jobs, parts.parts(index, jobs), expected, strict=True):
        after.block[:] = after.without_rubbish(job[2])
        actual = dataclasses.replace(after, block=block).without_rubbish(job[2])
        np.testing.assert_array_equal(actual, after.block, err_msg=str(job[2]))


def test_entries_of_two_values_by_hand():
    """1 and 3 with 0 and 2, all of scale 1: the sums 1 and 5, of which an unsigned value of 2 bits keeps 1 and 3."""
    maps = [feature_map(label, (1, 1, 1, 2), 2, 1.0, 0) for label in "aby"]
    graph = case("by-hand", "ADD", binary.Attrs(Activation.NONE), tuple(maps[:2]), maps[2]).graph
    graph = graph.replace(nodes=[dataclasses.replace(graph.nodes[0], kernel="binary_table")])
    (call,) = kernel_calls(graph, graph.nodes[0])
    table = dict(dict(call.fields)["rule"])["table"]
    assert (table.size, int(table[(1 | 3 << 2) + 16 * (0 | 2 << 2)])) == (256, 1 | 3 << 2)


@pytest.mark.parametrize("shapes", [((1, 2, 2, 4), (1, 1, 1, 4)), ((1, 2, 2, 4), (1, 1, 1, 1))])
def test_values_that_meet_every_pixel_are_left_to_the_portable_kernel(shapes):
    a, b = (feature_map(label, shape, 4, 1.0, 0) for label, shape in zip("ab", shapes, strict=True))
    graph = case("spread", "ADD", binary.Attrs(Activation.NONE), (a, b), feature_map("y", shapes[0], 4, 1.0, 0)).graph
    assert not binary_table.supports(prepare_node(graph, graph.nodes[0]))


@pytest.mark.parametrize("widths", [(8, 4, 4), (4, 8, 4), (8, 8, 4)])
def test_operands_of_8_bits_have_no_table(widths):
    maps = [feature_map(label, (1, 2, 2, 4), bits, 1.0, 0) for label, bits in zip("aby", widths, strict=True)]
    graph = case("wide", "ADD", binary.Attrs(Activation.NONE), tuple(maps[:2]), maps[2]).graph
    assert not binary_table.supports(prepare_node(graph, graph.nodes[0]))
