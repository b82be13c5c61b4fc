"""fully_connected_few against the Python integer reference on the host, and its bounds by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from quantmcu_kit.ops.interpret import Interpreter, kernel_calls, prepare_node
from quantmcu_kit.ops.variants import fully_connected_few
from tests.ops.packed_case import PackedCase
from tests.support.c_program import CProgram
from tests.unit import test_fully_connected_fields

KERNEL = "fully_connected_few"
PICTURES = 4


def of(case: PackedCase) -> PackedCase | None:
    """The layer of the other kernel's test by this one, if it can."""
    (node,) = case.graph.nodes
    if not fully_connected_few.supports(prepare_node(case.graph, node)):
        return None
    return PackedCase(case.name, case.graph.replace(nodes=(dataclasses.replace(node, kernel=KERNEL),)))


CASES = [found for found in map(of, test_fully_connected_fields.CASES) if found is not None]


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> CProgram:
    return CProgram([case.graph for case in CASES], tmp_path_factory.mktemp("few"))


def test_every_shape_and_width_occurs():
    """But for what the other kernel refuses, too."""
    assert len(CASES) == len(test_fully_connected_fields.CASES)


@pytest.mark.parametrize("index", range(len(CASES)), ids=[str(case) for case in CASES])
def test_c_equals_integers(program, index):
    (pictures,) = CASES[index].pictures(PICTURES)
    expected = Interpreter(CASES[index].graph, integer=True).run({"x": pictures})["y"]
    np.testing.assert_array_equal(program.run(index, [pictures]), expected)


def test_stored_weights_are_whole_words():
    """Rows of 17 weights take 3 words; the first byte holds the first two."""
    case = next(each for each in CASES if each.name.startswith("17-to-5-4-4-"))
    (call,) = kernel_calls(case.graph, case.graph.nodes[0])
    stored, weights = dict(call.fields)["weights"], case.graph.tensors["w"].data
    assert stored.shape == (5, 12)
    assert int(stored[0, 0]) & 0xFF == (int(weights[0, 0]) & 15) | (int(weights[0, 1]) & 15) << 4
    assert (stored[:, 9:] == 0).all()


def test_weights_of_2_bit_inputs_lie_as_their_words_are_taken_apart():
    """A word holds 16 values; value 8 is taken out of it together with value 0, whose weight is the first nibble."""
    case = next(each for each in CASES if each.name.startswith("36-to-13-2-4-"))
    (call,) = kernel_calls(case.graph, case.graph.nodes[0])
    stored, weights = dict(call.fields)["weights"], case.graph.tensors["w"].data.astype(np.int32)
    assert stored.shape == (13, 24)  # 36 values are two words and four values
    for byte, first in {0: 0, 1: 2, 2: 8, 4: 4, 6: 12, 8: 16, 17: 34}.items():
        expected = weights[:, first] & 15 | (weights[:, first + 1] & 15) << 4
        assert (stored[:, byte].view(np.uint8) == expected).all()
    assert (stored[:, 18:] == 0).all()


@pytest.mark.parametrize(
    ("name", "taps", "is_supported"),
    [("4-4", 4369, True), ("4-4", 4370, False), ("2-4", 21845, True), ("2-4", 21846, False)],
)
def test_sums_must_stay_below_2_to_the_19(name, taps, is_supported):
    """15 · 8 · 4369 = 524,280 and 3 · 8 · 21,845 = 524,280."""
    case = next(each for each in CASES if each.name.startswith(f"8-to-4-{name}-"))
    params = prepare_node(case.graph, case.graph.nodes[0])
    values = np.full((4, taps), -8, np.int8)
    large = dataclasses.replace(
        params,
        in_shape=(1, taps),
        weights=dataclasses.replace(params.weights, values=values),
    )
    assert fully_connected_few.supports(large) == is_supported
