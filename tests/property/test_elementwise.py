"""Elementwise integer operators equal TFLite's reference kernels over random scales and zero-points.

Operators on one value run on all 256 of them, operators on two on all 65,536 pairs.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantmcu_kit import tflite
from quantmcu_kit.ops.interpret import Interpreter
from tests.ops.cases import Case, as_int8
from tests.support.reference import Reference
from tests.support.tflite_builder import TensorDef, constant, options

EVERY_INT8 = np.arange(-128, 128).astype(np.int8)
PAIRS = [np.ascontiguousarray(grid)[None] for grid in np.meshgrid(EVERY_INT8, EVERY_INT8, indexing="ij")]

FEW = settings(max_examples=40, deadline=None, derandomize=True)
ACTIVATIONS = st.sampled_from([0, 1, 2, 3])  # NONE, RELU, RELU_N1_TO_1, RELU6

scales = st.floats(-13, 3).map(lambda exponent: float(np.float32(2.0**exponent)))
zero_points = st.integers(-128, 127)
quants = st.tuples(scales, zero_points)


def feature_map(name: str, shape: tuple[int, ...], quant: tuple[float, int], dtype: str = "int8") -> TensorDef:
    """A map; ``quant`` is scale and int8 zero-point, also for uint8."""
    return TensorDef(name, shape, dtype, quant[0], quant[1] + (128 if dtype == "uint8" else 0))


def check(case: Case, *inputs: np.ndarray) -> None:
    """Our integers are the bytes of TFLite's reference kernel, shifted to int8 where they are uint8."""
    model = case.model()
    (expected,) = Reference(model).run(*inputs)
    graph = tflite.load(model, name="case")
    values = {port.tensor: as_int8(x) for port, x in zip(graph.inputs, inputs, strict=True)}
    ours = Interpreter(graph, integer=True).run(values)[graph.outputs[0].tensor]
    np.testing.assert_array_equal(ours, as_int8(expected))


def check_unary(op: str, x: tuple[float, int], y: tuple[float, int], version: int = 2) -> None:
    """All values through ``op``."""
    every = EVERY_INT8[None]
    maps = feature_map("x", every.shape, x), feature_map("y", every.shape, y)
    check(Case("all-values", op, maps[:1], maps[1], None, version), every)


def check_binary(op: str, table: str, quants: list[tuple[float, int]], activation: int) -> None:
    """All pairs through ``op``; ``quants`` are those of both operands and of the output."""
    a, b, y = (feature_map(name, PAIRS[0].shape, quant) for name, quant in zip("aby", quants, strict=True))
    check(Case("all-pairs", op, (a, b), y, options(table, fused_activation_function=activation), 2), *PAIRS)


@pytest.mark.parametrize(("op", "table"), [("ADD", "AddOptions"), ("SUB", "SubOptions")])
@FEW
@given(a=quants, b=quants, y=quants, act=ACTIVATIONS)
def test_sums(op, table, a, b, y, act):
    check_binary(op, table, [a, b, y], act)


@FEW
@given(a=quants, b=quants, y=zero_points, ratio=st.floats(-16, 2), act=ACTIVATIONS)
def test_mul(a, b, y, ratio, act):
    check_binary("MUL", "MulOptions", [a, b, (float(np.float32(a[0] * b[0] * 2.0**-ratio)), y)], act)


@pytest.mark.parametrize(("op", "version"), [("RELU", 2), ("RELU6", 2), ("RELU_N1_TO_1", 1), ("QUANTIZE", 2)])
@FEW
@given(x=quants, y=quants)
def test_rescaling_tables(op, version, x, y):
    check_unary(op, x, y, version)


@FEW
@given(x=quants)
def test_logistic(x):
    check_unary("LOGISTIC", x, (1 / 256, -128))


@FEW
@given(
    x=quants,
    beta=st.sampled_from([1.0, 0.25, 3.0]),
    rows=st.integers(1, 4),
    depth=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
    unsigned=st.booleans(),
)
def test_softmax(x, beta, rows, depth, seed, unsigned):
    """int8, and legacy uint8 whose bytes differ by the shift only."""
    shape = (1, rows, depth)
    values = np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)
    values[0, 0] = values[0, 0, 0]  # a row of equal values
    dtype = "uint8" if unsigned else "int8"
    maps = feature_map("x", shape, x, dtype), feature_map("y", shape, (1 / 256, -128), dtype)
    case = Case("rows", "SOFTMAX", maps[:1], maps[1], options("SoftmaxOptions", beta=beta), 2)
    check(case, values.view(np.uint8) ^ 0x80 if unsigned else values)


@FEW
@given(a=quants, ratio=st.floats(-3, 3), zero=zero_points)
def test_concatenation_of_uint8_rescales(a, ratio, zero):
    """Only legacy uint8 may concatenate maps of different scales."""
    y = (float(np.float32(a[0] * 2.0**ratio)), zero)
    inputs = feature_map("a", (1, 256), a, "uint8"), feature_map("b", (1, 256), y, "uint8")
    case = Case(
        "all", "CONCATENATION", inputs, feature_map("y", (1, 512), y, "uint8"), options("ConcatenationOptions", axis=1)
    )
    every = (EVERY_INT8.view(np.uint8) ^ 0x80)[None]
    check(case, every, every)


@FEW
@given(
    size=st.tuples(*[st.integers(1, 40)] * 4),
    align=st.booleans(),
    half=st.booleans(),
)
def test_resize_nearest_neighbor(size, align, half):
    in_h, in_w, out_h, out_w = size
    x = np.arange(in_h * in_w * 2).astype(np.int8).reshape(1, in_h, in_w, 2)
    table = options("ResizeNearestNeighborOptions", align_corners=align, half_pixel_centers=half)
    inputs = feature_map("x", x.shape, (0.5, 3)), constant("size", [out_h, out_w], "int32")
    check(Case("any", "RESIZE_NEAREST_NEIGHBOR", inputs, feature_map("y", (1, out_h, out_w, 2), (0.5, 3)), table, 2), x)
