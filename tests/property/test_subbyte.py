"""Operators on maps and weights of 8, 4 and 2 bits, any mixture, against their definitions in Python integers.

Eight-bit operators are held to TFLite's kernels elsewhere; here at least one width is drawn freely.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, DType, Padding, Quant, Size
from quantmcu_kit.ops import (
    average_pool_2d,
    concatenation,
    convolution,
    fully_connected,
    max_pool_2d,
    mean,
    pad,
    reshape,
    resize_nearest_neighbor,
    softmax,
    squeeze,
    transpose,
)
from quantmcu_kit.ops.binary import Attrs as BinaryAttrs
from quantmcu_kit.ops.pooling import Pool
from quantmcu_kit.ops.spec import NoAttrs
from quantmcu_kit.ops.table import TABLE
from tests.support import subbyte_reference as reference
from tests.support.subbyte_reference import Map

FEW = settings(max_examples=40, deadline=None, derandomize=True)
MAP_TYPES = {8: DType.I8, 4: DType.U4, 2: DType.U2}
WEIGHT_TYPES = {8: DType.I8, 4: DType.I4, 2: DType.I2}
WEIGHT_RANGES = {8: (-127, 127), 4: (-8, 7), 2: (-2, 1)}
BOUNDS = {
    Activation.NONE: (-np.inf, np.inf),
    Activation.RELU: (0, np.inf),
    Activation.RELU6: (0, 6),
    Activation.RELU_N1_TO_1: (-1, 1),
}
widths = st.sampled_from([8, 4, 2])
activations = st.sampled_from(list(BOUNDS))
seeds = st.integers(0, 2**32 - 1)


@st.composite
def maps(draw, bits: int | None = None) -> Map:
    """A map of any width with any zero-point of its type; its range is some 0.1 to 30 wide."""
    bits = draw(widths) if bits is None else bits
    span = 2.0 ** draw(st.floats(-3, 5))
    anywhere = Map(bits, float(np.float32(span / (2**bits - 1))), 0)
    return Map(bits, anywhere.scale, draw(st.integers(anywhere.low, anywhere.high)))


def tensor(name: str, quant: Map, shape: tuple[int, ...], data: np.ndarray | None = None) -> Tensor:
    """A feature map, or a constant of its type."""
    return Tensor(name, shape, MAP_TYPES[quant.bits], Quant.per_tensor(quant.scale, quant.zero), data)


def result(op: str, attrs: object, inputs: list[Tensor], output: Tensor, *arrays: np.ndarray) -> np.ndarray:
    """What ``int_ref`` computes; its array is of the type that the output's dtype says."""
    spec = TABLE[op]
    params = spec.prepare(attrs, tuple(inputs), output)
    constants = [operand.data for operand in inputs if operand.is_constant]
    got = spec.int_ref(params, *arrays, *constants)
    assert got.dtype == output.dtype.numpy and got.shape[1:] == output.shape[1:]
    return got


def weighted_constants(rng, bits: int, shape: tuple[int, ...], axis: int, x: Map, y: Map):
    """Random weights, bias and weight scales whose sums fill the output's range a few times."""
    low, high = WEIGHT_RANGES[bits]
    values = rng.integers(low, high, shape, endpoint=True).astype(np.int8)
    channels = shape[axis]
    taps = values.size // channels
    wanted = 2.0 ** rng.uniform(-1, 2, channels) * y.scale * 2**y.bits / (x.scale * 2**x.bits * high * np.sqrt(taps))
    scales = wanted.astype(np.float32)
    spread = (2**x.bits * high * np.sqrt(taps)).astype(int) + 1
    bias = rng.integers(-spread, spread, channels).astype(np.int32)
    weights = Tensor("w", shape, WEIGHT_TYPES[bits], Quant(scales, np.zeros(channels, np.int32), axis), values)
    offsets = Tensor(
        "b", (channels,), DType.I32, Quant(scales * np.float32(x.scale), np.zeros(channels, np.int32), 0), bias
    )
    return weights, offsets, [float(scale) for scale in scales]


@pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D"])
@FEW
@given(
    x=maps(),
    y=maps(),
    bits=widths,
    activation=activations,
    size=st.tuples(st.integers(3, 5), st.integers(3, 5), st.integers(1, 5)),
    outputs=st.integers(1, 4),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
    margin=st.integers(1, 2),
    seed=seeds,
)
def test_convolutions(op, x, y, bits, activation, size, outputs, kernel, stride, dilation, margin, seed):
    rng = np.random.default_rng(seed)
    depthwise = op == "DEPTHWISE_CONV_2D"
    channels = outputs % 2 * size[2] + size[2] if depthwise else outputs
    shape = (1, *kernel, channels) if depthwise else (channels, *kernel, size[2])
    weights, bias, scales = weighted_constants(rng, bits, shape, 3 if depthwise else 0, x, y)
    attrs = convolution.Attrs(Size(stride, stride), Size(dilation, dilation), Padding(*[margin] * 4), activation)
    source = tensor("x", x, (1, *size))
    out_shape = TABLE[op].infer(attrs, source, weights, bias)
    values = x.values(rng, (2, *size))
    got = result(op, attrs, [source, weights, bias], tensor("y", y, out_shape), values)
    for picture, computed in zip(values, got, strict=True):
        expected = reference.convolution(
            picture,
            weights.data,
            bias.data,
            scales,
            (x, y),
            out_shape[1:3],
            (stride, dilation, margin),
            BOUNDS[activation],
            depthwise,
        )
        np.testing.assert_array_equal(computed, expected)


@FEW
@given(x=maps(), y=maps(), bits=widths, activation=activations, taps=st.integers(1, 40), seed=seeds)
def test_fully_connected(x, y, bits, activation, taps, seed):
    rng = np.random.default_rng(seed)
    weights, bias, scales = weighted_constants(rng, bits, (3, taps), 0, x, y)
    attrs = fully_connected.Attrs(False, activation)
    values = x.values(rng, (4, taps))
    inputs = [tensor("x", x, (1, taps)), weights, bias]
    got = result("FULLY_CONNECTED", attrs, inputs, tensor("y", y, (1, 3)), values)
    for row, computed in zip(values, got, strict=True):
        expected = reference.fully_connected(row, weights.data, bias.data, scales, (x, y), BOUNDS[activation])
        np.testing.assert_array_equal(computed, expected)


@pytest.mark.parametrize(("op", "sign"), [("ADD", 1), ("SUB", -1)])
@FEW
@given(a=maps(), b=maps(), y=maps(), activation=activations, seed=seeds)
def test_sums(op, sign, a, b, y, activation, seed):
    rng = np.random.default_rng(seed)
    left, right = a.values(rng, (1, 60)), b.values(rng, (1, 60))
    inputs = [tensor("a", a, (1, 60)), tensor("b", b, (1, 60))]
    got = result(op, BinaryAttrs(activation), inputs, tensor("y", y, (1, 60)), left, right)
    pairs = zip(left[0].tolist(), right[0].tolist(), strict=True)
    expected = [reference.add(p, q, sign, (a, b, y), BOUNDS[activation]) for p, q in pairs]
    assert got[0].tolist() == expected


@FEW
@given(a=maps(), b=maps(), y=maps(), activation=activations, seed=seeds)
def test_products(a, b, y, activation, seed):
    """One operand is a map, the other a constant with one value for each channel."""
    rng = np.random.default_rng(seed)
    values, factors = a.values(rng, (1, 3, 4, 5)), b.values(rng, (5,))
    inputs = [tensor("a", a, values.shape), tensor("b", b, (5,), factors)]
    got = result("MUL", BinaryAttrs(activation), inputs, tensor("y", y, values.shape), values)
    for index in np.ndindex(*values.shape):
        expected = reference.mul(int(values[index]), int(factors[index[3]]), (a, b, y), BOUNDS[activation])
        assert got[index] == expected


@pytest.mark.parametrize("op", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
@FEW
@given(
    x=maps(),
    y=maps(),
    same=st.booleans(),
    activation=activations,
    kernel=st.tuples(st.integers(2, 4), st.integers(2, 4)),
    stride=st.integers(1, 2),
    margin=st.integers(0, 1),
    seed=seeds,
)
def test_pools(op, x, y, same, activation, kernel, stride, margin, seed):
    """``same``: the output has the input's width and quantization, as TFLite's kernels demand at 8 bits."""
    rng = np.random.default_rng(seed)
    if same or x.bits == y.bits == 8:
        y = x
    values = x.values(rng, (2, 5, 4, 3))
    window = Pool(Size(*kernel), Size(stride, stride), Padding(*[margin] * 4))
    is_max = op == "MAX_POOL_2D"
    attrs = max_pool_2d.Attrs(window, activation) if is_max else average_pool_2d.Attrs(window, activation, False)
    source = tensor("x", x, (1, 5, 4, 3))
    out_shape = TABLE[op].infer(attrs, source)
    got = result(op, attrs, [source], tensor("y", y, out_shape), values)

    def reduce(pixels: list[int]) -> int:
        if is_max:
            q = max(pixels) if x == y else reference.requantized(max(pixels), x, y)
            return y.clamp(y.clamp(q), BOUNDS[activation])
        q = (
            reference.half_away(reference.Fraction(sum(pixels), len(pixels)))
            if x == y
            else reference.mean(pixels, x, y)
        )
        return y.clamp(q, BOUNDS[activation])

    for picture, computed in zip(values, got, strict=True):
        expected = reference.pool(picture, out_shape[1:3], kernel, (stride, 1, margin), reduce)
        np.testing.assert_array_equal(computed, expected)


@FEW
@given(x=maps(), y=maps(), keep=st.booleans(), size=st.tuples(st.integers(1, 7), st.integers(1, 7)), seed=seeds)
def test_mean(x, y, keep, size, seed):
    values = x.values(np.random.default_rng(seed), (2, *size, 3))
    out_shape = (1, 1, 1, 3) if keep else (1, 3)
    attrs = mean.Attrs((1, 2), keep)
    got = result("MEAN", attrs, [tensor("x", x, (1, *size, 3))], tensor("y", y, out_shape), values)
    for picture, channel in itertools.product(range(2), range(3)):
        pixels = values[picture, :, :, channel].ravel().tolist()
        assert got[picture].ravel()[channel] == y.clamp(reference.mean(pixels, x, y))


def carried(x: Map, y: Map, values: np.ndarray) -> np.ndarray:
    """Values of x as y has them: as they are between equal quantizations, requantized otherwise."""
    if x == y:
        return values
    return np.vectorize(lambda q: y.clamp(reference.requantized(int(q), x, y)), otypes=[int])(values)


@FEW
@given(x=maps(), y=maps(), same=st.booleans(), seed=seeds)
def test_what_moves_values(x, y, same, seed):
    """PAD, RESIZE_NEAREST_NEIGHBOR, TRANSPOSE, RESHAPE, SQUEEZE."""
    if same or x.bits == y.bits == 8:
        y = x
    values = x.values(np.random.default_rng(seed), (2, 3, 1, 5))
    source, moved = tensor("x", x, (1, 3, 1, 5)), carried(x, y, values)

    def check(op: str, attrs: object, out_shape: tuple[int, ...], expected: np.ndarray) -> None:
        np.testing.assert_array_equal(result(op, attrs, [source], tensor("y", y, out_shape), values), expected)

    around = np.full((2, 6, 2, 6), y.zero)
    around[:, 1:4, 0:1, 1:] = moved
    check("PAD", pad.Attrs((0, 1, 0, 1), (0, 2, 1, 0)), (1, 6, 2, 6), around)
    larger = resize_nearest_neighbor.Attrs(Size(6, 2), False, False)
    check("RESIZE_NEAREST_NEIGHBOR", larger, (1, 6, 2, 5), moved.repeat(2, axis=1).repeat(2, axis=2))
    check("TRANSPOSE", transpose.Attrs((0, 3, 1, 2)), (1, 5, 3, 1), np.moveaxis(moved, 3, 1))
    check("RESHAPE", reshape.Attrs((1, 15)), (1, 15), moved.reshape(2, 15))
    check("SQUEEZE", squeeze.Attrs((2,)), (1, 3, 5), moved[:, :, 0])


@FEW
@given(inputs=st.lists(maps(), min_size=1, max_size=3), y=maps(), same=st.booleans(), seed=seeds)
def test_concatenation(inputs, y, same, seed):
    """Inputs of several widths; one of them may have the output's quantization, and is copied."""
    rng = np.random.default_rng(seed)
    # Between 8-bit maps of two quantizations the rule is that of legacy uint8, which is tested against TFLite.
    inputs = [y if (same and index == 0) or x.bits == y.bits == 8 else x for index, x in enumerate(inputs)]
    values = [x.values(rng, (2, 2, 3, channels)) for channels, x in enumerate(inputs, start=1)]
    tensors = [
        tensor(f"x{index}", x, (1, *v.shape[1:])) for index, (x, v) in enumerate(zip(inputs, values, strict=True))
    ]
    total = sum(v.shape[3] for v in values)
    got = result("CONCATENATION", concatenation.Attrs(3), tensors, tensor("y", y, (1, 2, 3, total)), *values)
    expected = np.concatenate([carried(x, y, v) for x, v in zip(inputs, values, strict=True)], axis=3)
    np.testing.assert_array_equal(got, expected)


def every(x: Map) -> np.ndarray:
    """All values of a map, as one picture."""
    return np.arange(x.low, x.high + 1).astype(np.int8 if x.bits == 8 else np.uint8)[None]


@pytest.mark.parametrize(
    ("op", "bounds"), [("QUANTIZE", Activation.NONE), *[(a.name, a) for a in BOUNDS if a is not Activation.NONE]]
)
@FEW
@given(x=maps(), y=maps())
def test_requantization_of_every_value(op, bounds, x, y):
    """RELU and its kin divide the scales in float32, QUANTIZE in double."""
    ratio = x.scale / y.scale if op == "QUANTIZE" else float(np.float32(x.scale) / np.float32(y.scale))
    values = every(x)
    got = result(op, NoAttrs(), [tensor("x", x, values.shape)], tensor("y", y, values.shape), values)
    expected = [y.clamp(reference.requantized(q, x, y, ratio), BOUNDS[bounds]) for q in values[0].tolist()]
    assert got[0].tolist() == expected


@FEW
@given(x=maps(), bits=widths)
def test_logistic(x, bits):
    y, values = probabilities(bits), every(x)
    got = result("LOGISTIC", NoAttrs(), [tensor("x", x, values.shape)], tensor("y", y, values.shape), values)
    levels = 2**bits / (1 + np.exp(-x.scale * (values.astype(float) - x.zero)))
    sure = np.abs(levels % 1 - 0.5) > 1e-4  # float32 and double may round such halves to different sides
    assert np.array_equal(got[sure], np.minimum(np.floor(levels + 0.5) + y.low, y.high)[sure])


@FEW
@given(x=maps(), bits=widths, depth=st.integers(1, 20), seed=seeds)
def test_softmax(x, bits, depth, seed):
    """Within the error of the fixed-point exponential of the nearest level."""
    y, values = probabilities(bits), x.values(np.random.default_rng(seed), (3, depth))
    got = result("SOFTMAX", softmax.Attrs(1.0), [tensor("x", x, (1, depth))], tensor("y", y, (1, depth)), values)
    exponentials = np.exp(x.scale * values.astype(float))
    levels = 2**bits * exponentials / exponentials.sum(axis=1, keepdims=True)
    assert np.abs(got - np.minimum(levels + y.low, y.high)).max() <= 0.505


def probabilities(bits: int) -> Map:
    """The fixed quantization of probabilities."""
    return Map(bits, 2.0**-bits, -128 if bits == 8 else 0)


def test_every_operator_on_maps_is_here():
    tested = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "MAX_POOL_2D", "AVERAGE_POOL_2D"}
    tested |= {"MEAN", "PAD", "RESIZE_NEAREST_NEIGHBOR", "TRANSPOSE", "RESHAPE", "SQUEEZE", "CONCATENATION", "QUANTIZE"}
    tested |= {"RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "SOFTMAX"}
    assert tested == {name for name, spec in TABLE.items() if spec.int_ref is not None}


def test_overflowing_accumulators_are_refused():
    """The bound counts what the input's width can be: 15 · 8 · n fits where 255 · 8 · n does not."""
    x4, x8, y = Map(4, 1.0, 3), Map(8, 1.0, 3), Map(4, 2.0**30, 0)
    taps = 1 << 15
    weights = Tensor(
        "w", (1, taps), DType.I8, Quant(np.float32([1.0]), np.zeros(1, np.int32), 0), np.full((1, taps), 127, np.int8)
    )
    bias = Tensor("b", (1,), DType.I32, None, np.array([2**31 - 1 - 15 * 127 * taps], np.int32))
    attrs = fully_connected.Attrs(False, Activation.NONE)
    prepare = TABLE["FULLY_CONNECTED"].prepare
    prepare(attrs, (tensor("x", x4, (1, taps)), weights, bias), tensor("y", y, (1, 1)))
    with pytest.raises(QmkitError) as caught:
        prepare(attrs, (tensor("x", x8, (1, taps)), weights, bias), tensor("y", y, (1, 1)))
    assert caught.value.code == "accumulator-overflow"
