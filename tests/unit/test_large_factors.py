"""Every variant with requantization factors of a half and more, beside small ones, against the integer reference.

Weights are few and small, so that many outputs lie between the limits although factors are large.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, DType, Padding, Quant, Size
from quantmcu_kit.ops import convolution, fully_connected
from quantmcu_kit.ops.interpret import Interpreter, prepare_node
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.ops.variants import VARIANTS
from tests.ops.packed_case import PackedCase, case, feature_map, random_for
from tests.support.c_program import CProgram

IN_SCALE, OUT_SCALE = 0.05, 0.1
PICTURES = 6
FACTORS = (0.013, 0.6, 1.7, 0.5, 3.1, 0.24, 1.0, 7.3, 0.97, 5.01)  # of channels, one after the other
BELOW_ONE = (0.013, 0.6, 0.5, 0.24, 0.97, 0.73)
BELOW_FOUR = (0.013, 0.6, 1.7, 0.5, 3.1, 0.24, 1.0)
MOST_WEIGHT = {8: 15, 4: 7, 2: 1}  # 15 · 2^3 is below 128
# How sums are clamped: activation, place of the output's zero-point (0: lowest value, 1: highest).
OUTPUTS = {
    "clamped": (Activation.RELU, 0.0),
    "signed": (Activation.NONE, 0.45),
    "inner": (Activation.RELU, 0.3),
}


@dataclass(frozen=True)
class Layer:
    """A layer of a variant: map [h, w, in], window, output channels, stride, and widths of input and weights."""

    kernel: str
    size: tuple[int, int, int]
    window: tuple[int, int]
    out: int
    stride: int
    widths: tuple[int, int]
    factors: tuple[float, ...] = FACTORS

    def __str__(self) -> str:
        numbers = (*self.size, *self.window, self.out, self.stride, *self.widths)
        return "-".join((self.kernel, *map(str, numbers)))


LAYERS = (
    *(Layer("conv_pairs", (3, 5, 8), (1, 1), 10, 1, widths) for widths in itertools.product((8, 4, 2), repeat=2)),
    *(Layer("conv_pairs", (3, 5, 9), (1, 1), 11, 1, widths, BELOW_ONE) for widths in ((8, 8), (8, 4), (4, 4), (8, 2))),
    *(Layer("conv_pairs", (4, 6, 5), (3, 3), 11, 1, widths) for widths in ((8, 8), (8, 4), (4, 2))),
    *(Layer("conv_first", (5, 6, 3), (3, 3), 10, 2, (8, bits)) for bits in (8, 4, 2)),
    *(Layer("conv_outer", (3, 5, 16), (1, 1), 12, 1, widths) for widths in itertools.product((4, 2), repeat=2)),
    *(Layer("conv_outer", (4, 6, 8), (3, 3), 10, 1, widths) for widths in itertools.product((4, 2), repeat=2)),
    *(
        Layer("depthwise_planes", (6, 7, 10), (3, 3), 10, 1, widths)
        for widths in itertools.product((8, 4, 2), repeat=2)
    ),
    *(Layer("depthwise_planes", (7, 6, 11), (3, 3), 11, 2, widths) for widths in ((8, 8), (8, 4), (4, 4))),
    *(Layer("depthwise_planes", (7, 6, 10), (5, 5), 10, 1, widths) for widths in ((8, 8), (4, 4))),
    *(Layer("depthwise_planes", (5, 9, 10), (1, 4), 10, 1, widths) for widths in ((8, 8), (4, 4))),
    *(Layer("depthwise_poly", (4, 7, 10), (3, 3), 10, 1, widths) for widths in itertools.product((4, 2), repeat=2)),
    *(
        Layer("fully_connected_pairs", (1, 3, 9), (1, 1), n, 1, w)
        for n, w in ((18, (8, 8)), (11, (8, 4)), (10, (4, 4)))
    ),
    *(Layer("fully_connected_pairs", (1, 3, 9), (1, 1), 19, 1, w, BELOW_ONE) for w in ((8, 4), (8, 8))),
    *(Layer("fully_connected_fields", (1, 3, 16), (1, 1), 13, 1, w, BELOW_ONE) for w in ((4, 4), (2, 4))),
    *(Layer("fully_connected_fields", (1, 3, 16), (1, 1), 13, 1, w, BELOW_FOUR) for w in ((4, 2), (2, 2))),
)


def make(layer: Layer, out_bits: int, output: str) -> PackedCase:
    """A layer whose channels have these factors in turn."""
    variant, (in_bits, weight_bits) = VARIANTS[layer.kernel], layer.widths
    (op,) = variant.ops
    label = f"{layer}-{out_bits}-{output}"
    rng = random_for(label)
    is_dense, is_depthwise = op == "FULLY_CONNECTED", op == "DEPTHWISE_CONV_2D"
    windows = (layer.out, layer.size[2]) if is_dense else (layer.out, *layer.window, layer.size[2])
    shape, axis = ((1, *layer.window, layer.out), 3) if is_depthwise else (windows, 0)
    most = MOST_WEIGHT[weight_bits]
    values = rng.integers(-most, most, shape, endpoint=True) * (rng.random(shape) < 3 / np.prod(shape) * layer.out)
    bias = rng.integers(-20, 20, layer.out).astype(np.int32)
    scales = np.resize(layer.factors, layer.out).astype(np.float32) * np.float32(OUT_SCALE / IN_SCALE)
    zeros = np.zeros(layer.out, np.int32)
    weights = Tensor("w", shape, DType.weights(weight_bits), Quant(scales, zeros, axis), values.astype(np.int8))
    offsets = Tensor("b", (layer.out,), DType.I32, Quant(scales * np.float32(IN_SCALE), zeros, 0), bias)
    activation, place = OUTPUTS[output]
    in_dtype, out_dtype = DType.feature_map(in_bits), DType.feature_map(out_bits)
    in_zero = (in_dtype.low + in_dtype.high) // 2
    x = feature_map("x", (1, *layer.size), in_bits, IN_SCALE, in_zero)
    side = tuple(window // 2 for window in layer.window)
    margin = Padding(side[0], side[0], side[1], side[1])
    stride = Size(layer.stride, layer.stride)
    attrs = convolution.Attrs(stride, Size(1, 1), margin, activation)
    if is_dense:
        attrs = fully_connected.Attrs(True, activation)
    out_zero = out_dtype.low + round(place * (out_dtype.high - out_dtype.low))
    y = feature_map("y", TABLE[op].infer(attrs, x, weights, offsets), out_bits, OUT_SCALE, out_zero)
    made = case(label, op, attrs, (x, weights, offsets), y)
    (node,) = made.graph.nodes
    return PackedCase(label, made.graph.replace(nodes=(dataclasses.replace(node, kernel=layer.kernel),)))


KINDS = ((8, "clamped"), (8, "signed"), (8, "inner"), (4, "clamped"), (4, "signed"))
MADE = tuple(make(layer, bits, output) for layer in LAYERS for bits, output in KINDS)


def is_supported(made: PackedCase) -> bool:
    (node,) = made.graph.nodes
    return VARIANTS[node.kernel].supports(prepare_node(made.graph, node))


CASES = tuple(filter(is_supported, MADE))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> CProgram:
    return CProgram([made.graph for made in CASES], tmp_path_factory.mktemp("whole"))


def reference(made: PackedCase, pictures: list[np.ndarray]) -> np.ndarray:
    return Interpreter(made.graph, integer=True).run({"x": pictures[0]})["y"]


def test_all_layers_are_supported_but_signed_polynomials():
    """Those with limits, or two roundings of sums below zero, have no line: whatever their factors are."""
    refused = {str(made) for made in MADE} - {str(made) for made in CASES}
    assert all("depthwise_poly" in name and not name.endswith("clamped") for name in refused), refused


def test_outputs_of_large_factors_lie_between_their_limits():
    """And those of each range of factors, with either sign of the sum."""
    seen = {low: set() for low in (0.5, 1, 2)}
    for made in CASES:
        output = made.graph.tensors["y"]
        values = reference(made, made.pictures(PICTURES)).reshape(-1, output.shape[-1]).astype(int)
        factors = made.graph.tensors["w"].quant.scale * IN_SCALE / OUT_SCALE
        inside = (values > output.dtype.low) & (values < output.dtype.high)
        for low, found in seen.items():
            of_range = (factors >= 0.999 * low) & (factors < (2 * low if low < 2 else 8))
            signs = np.sign(values - output.quant.z)[inside & of_range]
            found |= {(made.graph.nodes[0].kernel, int(sign)) for sign in np.unique(signs)}
    kernels = set(VARIANTS) & {made.graph.nodes[0].kernel for made in CASES}
    both = {(kernel, sign) for kernel in kernels for sign in (-1, 1)} - {("depthwise_poly", -1)}
    assert all(found >= both for found in seen.values())


@pytest.mark.parametrize("index", range(len(CASES)), ids=[str(made) for made in CASES])
def test_c_equals_integers(whole, index):
    pictures = CASES[index].pictures(PICTURES)
    np.testing.assert_array_equal(whole.run(index, pictures), reference(CASES[index], pictures))
