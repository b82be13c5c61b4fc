"""fully_connected_pairs against the Python integer reference on the host.

The reference itself is held to definitions in tests/property/test_subbyte.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, DType, Quant
from quantmcu_kit.ops import fully_connected
from quantmcu_kit.ops.interpret import Interpreter, prepare_node
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.ops.variants import fully_connected_pairs
from tests.ops.packed_case import PackedCase, case, feature_map, mixtures, random_for
from tests.support.c_program import CProgram

OP = "FULLY_CONNECTED"
IN_SCALE = 0.05
PICTURES = 4
# Shape behind the batch, inputs of a row, outputs of a row.
SHAPES = {
    "1-to-1": ((1,), 1, 1),
    "2-to-7": ((2,), 2, 7),
    "3-to-8": ((3,), 3, 8),
    "67-to-10": ((67,), 67, 10),
    "130-to-23": ((130,), 130, 23),
    "64-to-4": ((64,), 64, 4),
    "36-to-13": ((36,), 36, 13),
    "map-of-5": ((3, 2, 5), 30, 6),
    "rows": ((12,), 3, 17),
    "rows-from-within-pixels": ((1, 4, 3), 4, 5),
}
OUTPUTS = {"clamped": (Activation.RELU, 0.0), "signed": (Activation.NONE, 0.45), "inner": (Activation.RELU, 0.3)}


def make(name: str, widths: tuple[int, int, int], output: str, *, exact_scales: bool = False) -> PackedCase:
    """A layer of random weights whose output range the sums fill and sometimes leave.

    Args:
        exact_scales: all scales are powers of two, so that many products are exactly a half.
    """
    shape, taps, out = SHAPES[name]
    in_bits, weight_bits, out_bits = widths
    label = f"{name}-{'-'.join(map(str, widths))}-{output}{'-halves' * exact_scales}"
    rng = random_for(label)
    dtype, out_dtype, in_dtype = DType.weights(weight_bits), DType.feature_map(out_bits), DType.feature_map(in_bits)
    values = rng.integers(dtype.low + (weight_bits == 8), dtype.high, (out, taps), endpoint=True).astype(np.int8)
    if weight_bits == 4 and in_bits == 8:
        values[2::4] = np.maximum(values[2::4], -7)  # of four nested weights the third one
    in_scale = 1 / 16 if exact_scales else IN_SCALE
    scales = np.full(out, 2.0**-7) if exact_scales else rng.uniform(0.004, 0.02, out)
    spread = 2**in_bits * 2**weight_bits / 12 * np.sqrt(taps)
    zeros = np.zeros(out, np.int32)
    bias = rng.integers(-int(spread) - 1, int(spread) + 1, out).astype(np.int32)
    weights = Tensor("w", (out, taps), dtype, Quant(scales.astype(np.float32), zeros, 0), values)
    offsets = Tensor("b", (out,), DType.I32, Quant((scales * in_scale).astype(np.float32), zeros, 0), bias)
    activation, place = OUTPUTS[output]
    in_zero = int(rng.integers(in_dtype.low, in_dtype.high, endpoint=True))
    x = feature_map("x", (1, *shape), in_bits, in_scale, in_zero)
    out_zero = out_dtype.low + round(place * (out_dtype.high - out_dtype.low))
    scale = 0.012 * in_scale * spread * (4 if place else 2) / 2**out_bits
    scale = 2.0 ** np.round(np.log2(scale)) if exact_scales else scale
    attrs = fully_connected.Attrs(False, activation)
    y = feature_map("y", TABLE[OP].infer(attrs, x, weights, offsets), out_bits, scale, out_zero)
    made = case(label, OP, attrs, (x, weights, offsets), y)
    (node,) = made.graph.nodes
    return PackedCase(made.name, made.graph.replace(nodes=(dataclasses.replace(node, kernel="fully_connected_pairs"),)))


def is_supported(made: PackedCase) -> bool:
    return fully_connected_pairs.supports(prepare_node(made.graph, made.graph.nodes[0]))


def cases() -> Iterator[PackedCase]:
    """Every shape at 8 bits with every clamp, and at a fifth of all mixtures of widths with one of them."""
    for index, name in enumerate(SHAPES):
        for turn, widths in enumerate(mixtures(3)):
            if widths in ((8, 8, 8), (8, 4, 8)):
                yield from (make(name, widths, output) for output in OUTPUTS)
                yield make(name, widths, "signed", exact_scales=True)
            elif (turn + index) % 5 == 0:
                yield make(name, widths, list(OUTPUTS)[(index + turn) % len(OUTPUTS)])


MADE = tuple(cases())
CASES = tuple(filter(is_supported, MADE))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> CProgram:
    return CProgram([made.graph for made in CASES], tmp_path_factory.mktemp("whole"))


def test_all_but_few_layers_are_supported():
    """What is refused has sums that are not scaled down to half."""
    refused = [made for made in MADE if not is_supported(made)]
    assert len(refused) < len(MADE) / 8
    for made in refused:
        assert prepare_node(made.graph, made.graph.nodes[0]).requant.shift.max() >= 0, made


@pytest.mark.parametrize("index", range(len(CASES)), ids=[str(made) for made in CASES])
def test_c_equals_integers(whole, index):
    made = CASES[index]
    pictures = made.pictures(PICTURES)
    named = {port.tensor: values for port, values in zip(made.graph.inputs, pictures, strict=True)}
    expected = Interpreter(made.graph, integer=True).run(named)[made.graph.outputs[0].tensor]
    np.testing.assert_array_equal(whole.run(index, pictures), expected)
