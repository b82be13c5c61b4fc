"""conv_pairs and conv_first against the Python integer reference: whole and in parts of odd layout, on the host.

The reference itself is held to definitions in tests/property/test_subbyte.py. Bits of a pixel that no channel has are
ones in inputs and ignored in outputs.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, DType, Padding, Quant, Size
from quantmcu_kit.ops import convolution
from quantmcu_kit.ops.interpret import Interpreter, prepare_node
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.ops.variants import VARIANTS, conv_first, conv_pairs
from tests.ops.packed_case import PackedCase, case, feature_map, mixtures, random_for
from tests.support.c_program import CProgram
from tests.support.kernel_parts import KernelParts, random_jobs

OP = "CONV_2D"
IN_SCALE = 0.05
PICTURES = 3
# Map [h, w, in], kernel, output channels, stride, dilation, padding (top, bottom, left, right).
SHAPES = {
    "pointwise": ((3, 5, 8), (1, 1), 8, (1, 1), 1, (0, 0, 0, 0)),
    "pointwise-odd": ((3, 3, 9), (1, 1), 5, (1, 1), 1, (0, 0, 0, 0)),
    "pointwise-long": ((1, 3, 67), (1, 1), 4, (1, 1), 1, (0, 0, 0, 0)),
    "pointwise-1": ((2, 2, 1), (1, 1), 1, (1, 1), 1, (0, 0, 0, 0)),
    "pointwise-2": ((1, 1, 2), (1, 1), 3, (1, 1), 1, (0, 0, 0, 0)),
    "pointwise-stride2": ((5, 4, 33), (1, 1), 12, (2, 2), 1, (0, 0, 0, 0)),
    "pointwise-padded": ((2, 2, 4), (1, 1), 18, (1, 1), 1, (1, 1, 1, 1)),
    "first": ((6, 7, 3), (3, 3), 7, (1, 1), 1, (1, 1, 1, 1)),
    "first-stride2": ((7, 8, 3), (3, 3), 8, (2, 2), 1, (0, 1, 0, 1)),
    "first-valid": ((5, 8, 3), (3, 3), 6, (1, 1), 1, (0, 0, 0, 0)),
    "first-wide-padding": ((2, 2, 3), (3, 3), 5, (1, 1), 1, (3, 2, 4, 3)),
    "first-stride-3x4": ((8, 9, 3), (3, 3), 4, (3, 4), 1, (1, 1, 0, 2)),
    "speech": ((12, 6, 1), (10, 4), 6, (2, 2), 1, (4, 5, 1, 2)),
    "3x3": ((4, 6, 8), (3, 3), 4, (1, 1), 1, (1, 1, 1, 1)),
    "3x3-5": ((4, 4, 5), (3, 3), 6, (1, 1), 1, (1, 1, 1, 1)),
    "3x3-valid": ((4, 6, 6), (3, 3), 4, (1, 1), 1, (0, 0, 0, 0)),
    "3x3-wide-padding": ((2, 2, 4), (3, 3), 5, (1, 1), 1, (3, 2, 4, 3)),
    "3x3-dilation2": ((7, 8, 5), (3, 3), 4, (1, 1), 2, (2, 2, 2, 2)),
    "3x2-stride-2x3-dilation3": ((9, 11, 7), (3, 2), 9, (2, 3), 3, (2, 3, 1, 1)),
    "1x4": ((2, 9, 2), (1, 4), 4, (1, 2), 1, (0, 0, 1, 2)),
    "5x1-stride-beyond": ((13, 2, 3), (5, 1), 4, (6, 1), 1, (2, 2, 0, 0)),
    "3x3-strips": ((2, 13, 64), (3, 3), 4, (1, 1), 1, (1, 1, 1, 1)),
    "3x3-many-rows": ((37, 3, 4), (3, 3), 4, (1, 1), 1, (1, 1, 1, 1)),
    "3x3-many-rows-5": ((37, 3, 5), (3, 3), 3, (1, 1), 1, (1, 1, 1, 1)),
    "first-strips": ((3, 170, 3), (5, 5), 2, (1, 1), 1, (2, 2, 2, 2)),
    "1x1-picture": ((1, 1, 4), (3, 3), 4, (1, 1), 1, (1, 1, 1, 1)),
}
# How sums are clamped: activation, place of the output's zero-point (0: lowest value, 1: highest).
OUTPUTS = {
    "clamped": (Activation.RELU, 0.0),
    "signed": (Activation.NONE, 0.45),
    "relu6": (Activation.RELU6, 0.0),
    "inner": (Activation.RELU, 0.3),
}


def make(name: str, widths: tuple[int, int, int], output: str, kernel: str = "conv_pairs") -> PackedCase:
    """A layer of random weights whose output range the sums fill and sometimes leave."""
    size, window, channels, stride, dilation, margin = SHAPES[name]
    in_bits, weight_bits, out_bits = widths
    label = f"{kernel}-{name}-{'-'.join(map(str, widths))}-{output}"
    rng = random_for(label)
    dtype, out_dtype, in_dtype = DType.weights(weight_bits), DType.feature_map(out_bits), DType.feature_map(in_bits)
    shape = (channels, *window, size[2])
    values = rng.integers(dtype.low, dtype.high, shape, endpoint=True).astype(np.int8)
    values[1::2] = np.maximum(values[1::2], -127)  # of two nested weights the upper one
    if weight_bits == 4 and in_bits == 8:
        values[2::4] = np.maximum(values[2::4], -7)  # of four nested weights the third one
    scales = rng.uniform(0.004, 0.02, channels).astype(np.float32)
    zeros = np.zeros(channels, np.int32)
    spread = 2**in_bits * 2**weight_bits / 12 * np.sqrt(values.size / channels)
    bias = rng.integers(-int(spread) - 1, int(spread) + 1, channels).astype(np.int32)
    weights = Tensor("w", shape, dtype, Quant(scales, zeros, 0), values)
    offsets = Tensor("b", (channels,), DType.I32, Quant(scales * np.float32(IN_SCALE), zeros, 0), bias)
    activation, place = OUTPUTS[output]
    attrs = convolution.Attrs(Size(*stride), Size(dilation, dilation), Padding(*margin), activation)
    in_zero = int(rng.integers(in_dtype.low, in_dtype.high, endpoint=True))
    x = feature_map("x", (1, *size), in_bits, IN_SCALE, in_zero)
    out_zero = out_dtype.low + round(place * (out_dtype.high - out_dtype.low))
    scale = 9.0 / 2**out_bits if output == "relu6" else 0.012 * IN_SCALE * spread * (4 if place else 2) / 2**out_bits
    y = feature_map("y", TABLE[OP].infer(attrs, x, weights, offsets), out_bits, scale, out_zero)
    made = case(label, OP, attrs, (x, weights, offsets), y)
    (node,) = made.graph.nodes
    return PackedCase(made.name, made.graph.replace(nodes=(dataclasses.replace(node, kernel=kernel),)))


def is_supported(made: PackedCase) -> bool:
    (node,) = made.graph.nodes
    return VARIANTS[node.kernel].supports(prepare_node(made.graph, node))


def cases() -> Iterator[PackedCase]:
    """Every shape at 8 bits with every clamp, and at a fifth of all mixtures of widths with one of them."""
    both = itertools.product(("conv_pairs", "conv_first"), enumerate(SHAPES))
    for kernel, (index, name) in both:
        size, window, *_, dilation, _ = SHAPES[name]
        if kernel == "conv_first" and (window, size[2], dilation) != ((3, 3), 3, 1):
            continue
        for turn, widths in enumerate(mixtures(3)):
            if widths in ((8, 8, 8), (8, 4, 8)):
                yield from (make(name, widths, output, kernel) for output in OUTPUTS)
            elif (turn + index) % 5 == 0:
                yield make(name, widths, list(OUTPUTS)[(index + turn) % len(OUTPUTS)], kernel)


MADE = tuple(cases())
CASES = tuple(filter(is_supported, MADE))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> CProgram:
    return CProgram([made.graph for made in CASES], tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> KernelParts:
    return KernelParts([made.graph for made in CASES], tmp_path_factory.mktemp("parts"))


def reference(made: PackedCase, pictures: list[np.ndarray]) -> np.ndarray:
    named = {port.tensor: values for port, values in zip(made.graph.inputs, pictures, strict=True)}
    return Interpreter(made.graph, integer=True).run(named)[made.graph.outputs[0].tensor]


def test_all_but_few_layers_are_supported():
    """What is refused has accumulators that are not scaled down to half."""
    refused = [made for made in MADE if not is_supported(made)]
    assert len(refused) < len(MADE) / 8
    for made in refused:
        assert prepare_node(made.graph, made.graph.nodes[0]).requant.shift.max() >= 0, made


@pytest.mark.parametrize("index", range(len(CASES)), ids=[str(made) for made in CASES])
def test_c_equals_integers(whole, index):
    pictures = CASES[index].pictures(PICTURES)
    np.testing.assert_array_equal(whole.run(index, pictures), reference(CASES[index], pictures))


@pytest.mark.parametrize("index", range(0, len(CASES), 2), ids=[str(made) for made in CASES[::2]])
def test_parts_equal_the_whole(parts, index):
    """A part reads nothing but its halo, writes nothing but its region, and writes what the whole has there."""
    made = CASES[index]
    rng = random_for(str(made))
    batch = made.pictures(3)
    pictures, output = tuple(values[-1] for values in batch), reference(made, batch)[-1]
    jobs, expected = random_jobs(made.graph, pictures, output, rng)
    for job, block, after in zip(jobs, parts.parts(index, jobs), expected, strict=True):
        after.block[:] = after.without_rubbish(job[2])
        actual = dataclasses.replace(after, block=block).without_rubbish(job[2])
        np.testing.assert_array_equal(actual, after.block, err_msg=str(job[2]))


def with_weights(values: np.ndarray, bits: int = 8) -> object:
    """Parameters of a pointwise layer with weights [out, in]."""
    widths = (8, bits, 8)
    made = make("pointwise", widths, "signed")
    (node,) = made.graph.nodes
    out, taps = values.shape
    tensors = dict(made.graph.tensors)
    tensors["x"] = dataclasses.replace(tensors["x"], shape=(1, 1, 1, taps))
    tensors["y"] = dataclasses.replace(tensors["y"], shape=(1, 1, 1, out))
    scales = np.full(out, 1e-5, np.float32)
    quant = Quant(scales, np.zeros(out, np.int32), 0)
    tensors["w"] = Tensor("w", (out, 1, 1, taps), DType.weights(bits), quant, values.reshape(out, 1, 1, taps))
    tensors["b"] = Tensor("b", (out,), DType.I32, quant, np.zeros(out, np.int32))
    return prepare_node(made.graph.replace(tensors=tensors), node)


@pytest.mark.parametrize("taps, is_exact", [(515, True), (517, False)])
def test_sums_of_nested_channels_have_a_bound(taps, is_exact):
    """128 * 127 * taps < 2^23 of the upper of two channels."""
    assert (128 * 127 * taps < 1 << 23) == is_exact
    values = np.zeros((4, taps), np.int8)
    values[1] = 127
    assert conv_pairs.supports(with_weights(values)) == is_exact
    values[[0, 1]] = values[[1, 0]]
    assert conv_pairs.supports(with_weights(values))


def test_the_lowest_weight_does_not_fit_above_a_negative_one():
    """256 * -128 - 1 is less than a lane of 16 bits has."""
    values = np.zeros((2, 4), np.int8)
    values[1, 2] = -128
    assert conv_pairs.supports(with_weights(values))
    values[0, 2] = -1
    assert not conv_pairs.supports(with_weights(values))


def test_weights_of_4_bits_beyond_their_bound_are_nested_by_8():
    """128 * 7 * taps < 2^19 of the uppermost of four channels."""
    values = np.zeros((4, 586), np.int8)
    values[3] = 7
    nest = {taps: dict(conv_pairs.emit(with_weights(values[:, :taps], 4))[0].fields)["nest"] for taps in (585, 586)}
    assert nest == {585: 4, 586: 8}


def test_every_mixture_of_widths_is_met():
    met = {tuple(made.name.split("-")[-4:-1]) for made in CASES}
    assert met == {tuple(map(str, widths)) for widths in itertools.product((8, 4, 2), repeat=3)}


@pytest.mark.parametrize("change", ["kernel", "channels", "dilation"])
def test_other_windows_are_no_first_layers(change):
    (node,) = make("first", (8, 8, 8), "signed").graph.nodes
    name = {"kernel": "speech", "channels": "3x3-5", "dilation": "3x3-dilation2"}[change]
    assert conv_first.supports(prepare_node(make("first", (8, 8, 8), "signed").graph, node))
    made = make(name, (8, 8, 8), "signed")
    assert not conv_first.supports(prepare_node(made.graph, made.graph.nodes[0]))
