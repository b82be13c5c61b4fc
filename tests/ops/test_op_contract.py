"""The contract of every operator in ``ops.table``, against TFLite's reference kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantmcu_kit import tflite
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ops.interpret import Interpreter, prepare_node
from quantmcu_kit.ops.table import TABLE
from tests.ops import cases_elementwise, cases_weighted
from tests.ops.cases import Case, as_int8, dequantize
from tests.support.c_program import CProgram
from tests.support.reference import run_reference

KERNELS = Path(__file__).resolve().parents[2] / "platformio_lib" / "src" / "quantmcu" / "kernels"
PICTURES = 12

CASES: tuple[Case, ...] = (*cases_weighted.CASES, *cases_elementwise.CASES)
INTEGER = [case for case in CASES if case.is_integer and TABLE[case.op].int_ref is not None]
each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_case_with_float = pytest.mark.parametrize("case", [case for case in INTEGER if case.has_float_kernel], ids=str)
each_integer_case = pytest.mark.parametrize("case", INTEGER, ids=str)


def load(case: Case) -> Graph:
    """The case's model as the importer sees it."""
    return tflite.load(case.model(), name="case")


def run(graph: Graph, inputs: list[np.ndarray], *, integer: bool) -> np.ndarray:
    """The network's output for one array per network input."""
    named = {port.tensor: value for port, value in zip(graph.inputs, inputs, strict=True)}
    return Interpreter(graph, integer=integer).run(named)[graph.outputs[0].tensor]


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> CProgram:
    """Every integer case in one C program."""
    return CProgram([load(case) for case in INTEGER], tmp_path_factory.mktemp("cases"))


@pytest.mark.parametrize("op", TABLE)
def test_every_operator_has_cases(op):
    """An operator without a case would pass every other test of this file."""
    assert [case for case in CASES if case.op == op]


def test_case_names_are_unique():
    """Names choose the random inputs and the test to run."""
    names = [str(case) for case in CASES]
    assert len(set(names)) == len(names)


@each_integer_case
def test_kernels_exist(case):
    """Every kernel that an operator calls is in the runtime, under its name."""
    graph = load(case)
    for node in graph.nodes:
        for call in TABLE[node.op].emit(prepare_node(graph, node)):
            assert (KERNELS / f"{call.kernel}.c").is_file()
            assert f"qmcu_{call.kernel}_t" in (KERNELS / f"{call.kernel}.h").read_text()


@each_case
def test_inferred_shape_is_the_reference_shape(case):
    """``infer`` computes the shape that TFLite gives the output."""
    graph = load(case)
    (node,) = graph.nodes
    (output,) = run_reference(case.model(), case.pictures(1))
    assert tuple(TABLE[node.op].infer(node.attrs, *graph.input_tensors(node))) == output.shape


@each_integer_case
def test_integers_equal_the_reference_bytes(case):
    """``int_ref`` equals TFLite's reference kernel byte for byte, extremes included."""
    pictures = case.pictures(PICTURES)
    (expected,) = run_reference(case.model(), pictures)
    actual = run(load(case), [as_int8(picture) for picture in pictures], integer=True)
    np.testing.assert_array_equal(actual, as_int8(expected))


@each_case_with_float
def test_float_ref_is_close_to_the_float_kernel(case):
    """``float_ref`` differs from TFLite's float kernel by rounding only."""
    twin = case.as_float()
    pictures = [dequantize(tensor, values) for tensor, values in zip(case.maps, case.pictures(PICTURES), strict=True)]
    (expected,) = run_reference(twin.model(), pictures)
    actual = run(load(twin), pictures, integer=False)
    assert actual.dtype == np.float32
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=case.float_tolerance * scale)


@each_case_with_float
def test_integers_are_within_bound_of_float(case):
    """``int_ref`` is ``float_ref`` up to the stated number of output steps, where the output can hold it."""
    pictures = case.pictures(PICTURES)
    reals = [dequantize(tensor, values) for tensor, values in zip(case.maps, pictures, strict=True)]
    expected = run(load(case.as_float()), reals, integer=False)
    actual = run(load(case), [as_int8(picture) for picture in pictures], integer=True)
    scale = float(np.float32(case.output.scale))
    zero_point = int(case.output.zero_point) - (128 if case.output.dtype == "uint8" else 0)
    representable = np.clip(expected.astype(np.float64) / scale + zero_point, -128, 127)
    assert np.abs(actual - representable).max() <= case.bound


@pytest.mark.parametrize("index", range(len(INTEGER)), ids=[str(case) for case in INTEGER])
def test_c_equals_integers(program, index):
    """The C kernel, as the generator calls it, equals ``int_ref`` byte for byte and stays within the arena."""
    case = INTEGER[index]
    inputs = [as_int8(picture) for picture in case.pictures(PICTURES)]
    np.testing.assert_array_equal(program.run(index, inputs), run(load(case), inputs, integer=True))
