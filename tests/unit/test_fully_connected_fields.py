"""fully_connected_fields against the Python integer reference on the host, and its bounds by hand."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, DType, Quant
from quantmcu_kit.ops import fully_connected
from quantmcu_kit.ops.interpret import Interpreter, kernel_calls, prepare_node
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.ops.variants import fully_connected_fields
from tests.ops.packed_case import PackedCase, case, feature_map, random_for
from tests.support.c_program import CProgram

OP = "FULLY_CONNECTED"
KERNEL = "fully_connected_fields"
PICTURES = 4
# Shape behind the batch, inputs of a row, outputs of a row.
SHAPES = {
    "1-to-1": ((1,), 1, 1),
    "2-to-7": ((2,), 2, 7),
    "3-to-8": ((3,), 3, 8),
    "8-to-4": ((8,), 8, 4),
    "17-to-5": ((17,), 17, 5),
    "67-to-10": ((67,), 67, 10),
    "130-to-23": ((130,), 130, 23),
    "36-to-13": ((36,), 36, 13),
    "640-to-12": ((640,), 640, 12),
    "map-of-4": ((3, 2, 4), 24, 6),
    "rows": ((12,), 3, 17),
    "rows-of-pixels": ((4, 3, 8), 24, 9),
}
WIDTHS = tuple(itertools.product((4, 2), (4, 2), (8, 4, 2)))  # input, weights, output
KINDS = ("trained", "uniform", "low", "high")
OUTPUTS = {"clamped": (Activation.RELU, 0.0), "signed": (Activation.NONE, 0.45), "inner": (Activation.RELU, 0.3)}


def weights_of(kind: str, bits: int, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """As trained ones are, all their values alike, or the least or largest value throughout."""
    dtype = DType.weights(bits)
    if kind == "trained":
        values = np.clip(np.round(rng.normal(0, dtype.high / 2.5, shape)), dtype.low, dtype.high)
    elif kind == "uniform":
        values = rng.integers(dtype.low, dtype.high, shape, endpoint=True)
    else:
        values = np.full(shape, dtype.low if kind == "low" else dtype.high)
    return values.astype(np.int8)


def make(name: str, widths: tuple[int, int, int], kind: str, output: str) -> PackedCase | None:
    """A layer whose output range the sums fill and sometimes leave; None where the kernel does not run it."""
    shape, taps, out = SHAPES[name]
    in_bits, weight_bits, out_bits = widths
    label = f"{name}-{'-'.join(map(str, widths))}-{kind}-{output}"
    rng = random_for(label)
    dtype, out_dtype, in_dtype = DType.weights(weight_bits), DType.feature_map(out_bits), DType.feature_map(in_bits)
    values = weights_of(kind, weight_bits, (out, taps), rng)
    scales = rng.uniform(0.004, 0.02, out)
    spread = 2**in_bits * max(0.5, float(values.std())) / 3.5 * np.sqrt(taps)
    zeros = np.zeros(out, np.int32)
    bias = rng.integers(-int(spread) - 1, int(spread) + 1, out).astype(np.int32)
    weights = Tensor("w", (out, taps), dtype, Quant(scales.astype(np.float32), zeros, 0), values)
    offsets = Tensor("b", (out,), DType.I32, Quant((scales * 0.05).astype(np.float32), zeros, 0), bias)
    activation, place = OUTPUTS[output]
    x = feature_map("x", (1, *shape), in_bits, 0.05, int(rng.integers(in_dtype.low, in_dtype.high, endpoint=True)))
    out_zero = out_dtype.low + round(place * (out_dtype.high - out_dtype.low))
    attrs = fully_connected.Attrs(False, activation)
    least = scales.max() * 0.05 / 0.49  # sums are scaled down to half
    scale = max(least, 0.012 * 0.05 * spread * (4 if place else 2) / 2**out_bits)
    y = feature_map("y", TABLE[OP].infer(attrs, x, weights, offsets), out_bits, scale, out_zero)
    made = case(label, OP, attrs, (x, weights, offsets), y)
    (node,) = made.graph.nodes
    if not fully_connected_fields.supports(prepare_node(made.graph, node)):
        return None
    return PackedCase(made.name, made.graph.replace(nodes=(dataclasses.replace(node, kernel=KERNEL),)))


def all_cases() -> tuple[PackedCase, ...]:
    """Every shape at every width; kinds of weights and outputs in turn."""
    turns = itertools.cycle(itertools.product(KINDS, OUTPUTS))
    made = (make(name, widths, *next(turns)) for name, widths in itertools.product(SHAPES, WIDTHS))
    return tuple(each for each in made if each is not None)


CASES = all_cases()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> CProgram:
    return CProgram([made.graph for made in CASES], tmp_path_factory.mktemp("whole"))


def test_most_layers_are_supported_and_some_have_segments():
    """What is refused has rows that begin within bytes, or sums beyond what fields hold."""
    assert len(CASES) > 0.8 * len(SHAPES) * len(WIDTHS)
    calls = [dict(kernel_calls(made.graph, made.graph.nodes[0])[0].fields) for made in CASES]
    assert any(call["segment"] * fully_connected_fields.UNIT < call["in"] for call in calls)


@pytest.mark.parametrize("index", range(len(CASES)), ids=[str(made) for made in CASES])
def test_c_equals_integers(whole, index):
    made = CASES[index]
    pictures = made.pictures(PICTURES)
    named = {port.tensor: values for port, values in zip(made.graph.inputs, pictures, strict=True)}
    expected = Interpreter(made.graph, integer=True).run(named)[made.graph.outputs[0].tensor]
    np.testing.assert_array_equal(whole.run(index, pictures), expected)


def test_segments_hold_the_largest_sums_that_they_can():
    """34 weights of -8 take 34 * 8 * 15 = 4080 < 2^12 away: four units of eight, not five."""
    four = fully_connected_fields.find_segments(np.full((4, 4 * 8), -8), 15)
    assert (four.units, four.start, four.total, four.count) == (4, 3840, 3840, 1)
    five = fully_connected_fields.find_segments(np.full((4, 5 * 8), -8), 15)
    assert (five.units, five.start, five.total, five.count) == (3, 2880, 4800, 2)


def test_sums_of_a_row_that_do_not_fit_are_refused():
    """Even channels: (2^16 - 1) // (15 * 7) = 624 weights of 7; odd ones: (2^19 - 1) // (15 * 8) = 4369 of -8."""
    even, odd = np.zeros((4, 4400), np.int32), np.zeros((4, 4400), np.int32)
    even[0, :624] = 7
    odd[1, :4369] = -8
    assert fully_connected_fields.find_segments(even, 15) is not None
    assert fully_connected_fields.find_segments(odd, 15) is not None
    even[0, 624] = 7
    odd[1, 4369] = -8
    assert fully_connected_fields.find_segments(even, 15) is None
    assert fully_connected_fields.find_segments(odd, 15) is None


def test_nested_weights_by_hand():
    """Values 0 and 4 are the lanes of a word; bits 0 to 3 and 12 to 15 first, then those of the word turned by 8."""
    values = np.zeros((4, 8), np.int32)
    values[:, 0] = (-8, -7, -6, -5)
    values[:, 4] = (1, 2, 3, 4)
    word = int(fully_connected_fields.nested(values)[0]) & 0xFFFFFFFF
    turned = (word >> 8 | word << 24) & 0xFFFFFFFF
    fields = [(each >> lane & 0xF, each >> lane + 12 & 0xF) for each in (word, turned) for lane in (0, 16)]
    assert fields == [(0, 9), (9, 2), (2, 11), (11, 4)]
