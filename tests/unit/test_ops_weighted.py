"""Requantization, chunking and the refusals of the weighted, pooling, MEAN and PAD operators."""

from __future__ import annotations

import numpy as np
import pytest
import tflite as schema

from quantmcu_kit import tflite
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, DType, Quant
from quantmcu_kit.numerics.fixedpoint import multiply_by_quantized_multiplier, quantize_multiplier
from quantmcu_kit.numerics.single_rounding import multiply_rounding_once
from quantmcu_kit.ops import mean, pad, weighted
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.requantize import Requant, Rounding, clamp_range
from quantmcu_kit.ops.table import TABLE
from tests.ops import cases_weighted
from tests.ops.cases import as_int8
from tests.support.reference import run_reference
from tests.support.tflite_builder import OperatorDef, TensorDef, build, constant, options

SHUFFLED = schema.FullyConnectedOptionsWeightsFormat.SHUFFLED4x16INT8


@pytest.mark.parametrize("rounding", Rounding)
def test_requant_applies_the_fixed_point_functions(rounding):
    """Blocked, in-place requantization equals the plain functions, for left and right shifts and any channel count."""
    rng = np.random.default_rng(5)
    channels = 7
    multiplier = rng.integers(2**30, 2**31, channels).astype(np.int32)
    shift = np.array([-31, -12, -1, 0, 1, 3, -7], np.int8)
    bias = rng.integers(-1000, 1000, channels).astype(np.int32)
    limit = 2 ** (30 - np.maximum(shift, 0).astype(np.int64)) - 1000
    sums = rng.integers(-limit, limit, (3, 2000, channels))
    sums[0, :1000] >>= 18  # results within int8 as well
    requant = Requant(bias, multiplier, shift, 5, -100, 90, rounding)
    multiply = multiply_by_quantized_multiplier if rounding is Rounding.TWICE else multiply_rounding_once
    expected = np.clip(multiply(sums + bias, multiplier, shift) + 5, -100, 90)
    np.testing.assert_array_equal(requant.apply(sums.astype(np.float64)), expected)


@pytest.mark.parametrize(
    ("activation", "scale", "zero_point", "expected"),
    [
        (Activation.NONE, 0.1, 0, (-128, 127)),
        (Activation.RELU, 0.1, -20, (-20, 127)),
        (Activation.RELU6, 0.1, -20, (-20, 40)),
        (Activation.RELU6, 0.01, -20, (-20, 127)),
        (Activation.RELU_N1_TO_1, 0.4, 0, (-3, 3)),  # 1 / 0.4 = 2.5 rounds away from zero
    ],
)
def test_clamp_range(activation, scale, zero_point, expected):
    """Hand-calculated edges."""
    assert clamp_range(activation, Quant.per_tensor(scale, zero_point)) == expected


@pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_a_batch_is_computed_in_chunks(op, monkeypatch):
    """Working memory is bounded: a batch beyond one chunk gives what single pictures give."""
    case = next(case for case in cases_weighted.CASES if case.op == op)
    graph = tflite.load(case.model(), name="case")
    (pictures,) = case.pictures(5)
    port, result = graph.inputs[0].tensor, graph.outputs[0].tensor
    interpreter = Interpreter(graph, integer=True)
    whole = interpreter.run({port: pictures})[result]
    monkeypatch.setattr(weighted, "_CHUNK_BYTES", 1)
    np.testing.assert_array_equal(interpreter.run({port: pictures})[result], whole)


IN_SCALE, WEIGHT_SCALE, OUT_SCALE = np.float32(0.0437), np.float32(0.00713), np.float32(37.3)


def _accumulators_between(one: float, other: float) -> np.ndarray:
    """Accumulators that the two effective scales requantize to different outputs."""
    halves = (np.arange(-100, 100) + 0.5) / one
    candidates = (halves.astype(np.int64)[:, None] + np.arange(-2, 3)).reshape(-1)
    results = [multiply_by_quantized_multiplier(candidates, *quantize_multiplier(scale)) for scale in (one, other)]
    return candidates[results[0] != results[1]]


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_effective_scales_have_the_reference_precision(dtype):
    """Per-tensor uint8 multiplies scales in float32, int8 in double: biases are set to where that shows."""
    double = float(IN_SCALE) * float(WEIGHT_SCALE) / float(OUT_SCALE)
    single = float(IN_SCALE * WEIGHT_SCALE) / float(OUT_SCALE)
    biases = _accumulators_between(double, single)
    assert biases.size > 0
    zero_point = 128 if dtype == "uint8" else 0
    chosen = options("Conv2DOptions", stride_h=1, stride_w=1)
    model = build(
        [
            TensorDef("x", (1, 1, 1, 1), dtype, IN_SCALE, zero_point),
            constant("w", np.ones((biases.size, 1, 1, 1)), dtype, scale=WEIGHT_SCALE, zero_point=zero_point),
            constant("b", biases, "int32", scale=IN_SCALE * WEIGHT_SCALE),
            TensorDef("y", (1, 1, 1, biases.size), dtype, OUT_SCALE, zero_point),
        ],
        [OperatorDef("CONV_2D", ["x", "w", "b"], ["y"], chosen, 3)],
        ["x"],
        ["y"],
    )
    zero = np.full((1, 1, 1, 1), zero_point, dtype)  # the accumulators are the biases
    (expected,) = run_reference(model, [zero])
    graph = tflite.load(model, name="m")
    actual = Interpreter(graph, integer=True).run({graph.inputs[0].tensor: as_int8(zero)})[graph.outputs[0].tensor]
    np.testing.assert_array_equal(actual, as_int8(expected))


def _dense_model(bias: int, taps: int = 4, **option: int) -> bytes:
    return build(
        [
            TensorDef("x", (1, taps), "int8", 0.1, 0),
            constant("w", np.full((2, taps), 127), "int8", scale=0.1),
            constant("b", [bias, 0], "int32", scale=0.01),
            TensorDef("y", (1, 2), "int8", 0.1, 0),
        ],
        [OperatorDef("FULLY_CONNECTED", ["x", "w", "b"], ["y"], options("FullyConnectedOptions", **option), 4)],
        ["x"],
        ["y"],
    )


@pytest.mark.parametrize("model", [_dense_model(2**31 - 1), _dense_model(0, taps=1 << 16)], ids=["bias", "taps"])
def test_accumulators_that_may_overflow_are_refused(model):
    """32 bits must hold every accumulator."""
    with pytest.raises(QmkitError) as caught:
        Interpreter(tflite.load(model, name="m"), integer=True)
    assert caught.value.code == "accumulator-overflow"


def _one_op(op: str, second: TensorDef, output: tuple[int, ...], table: str) -> bytes:
    tensors = [TensorDef("x", (1, 3, 4, 5), "int8", 0.1, 0), second, TensorDef("y", output, "int8", 0.1, 0)]
    return build(tensors, [OperatorDef(op, ["x", second.name], ["y"], options(table), 2)], ["x"], ["y"])


@pytest.mark.parametrize(
    ("model", "code"),
    [
        (_one_op("MEAN", constant("a", [1, 3], "int32"), (1, 4), "ReducerOptions"), "unsupported-op"),
        (_one_op("MEAN", constant("a", [4], "int32"), (1, 3, 4), "ReducerOptions"), "bad-shape"),
        (_one_op("PAD", constant("p", [[0, 0], [1, 1]], "int32"), (1, 5, 4, 5), "PadOptions"), "bad-shape"),
        (
            _one_op("PAD", constant("p", [[0, 0], [-1, 0], [0, 0], [0, 0]], "int32"), (1, 2, 4, 5), "PadOptions"),
            "bad-shape",
        ),
        (_dense_model(0, weights_format=SHUFFLED), "unsupported-op"),
        (_dense_model(0, fused_activation_function=schema.ActivationFunctionType.TANH), "unsupported-op"),
    ],
)
def test_unsupported_forms_are_refused(model, code):
    """Each with its code, and a reason for the user."""
    with pytest.raises(QmkitError) as caught:
        tflite.load(model, name="m")
    assert caught.value.code == code
    assert caught.value.why


def _tensor(name: str, shape: tuple[int, ...], data: np.ndarray | None = None) -> Tensor:
    return Tensor(name, shape, DType.I8, Quant.per_tensor(0.1, 0), data)


@pytest.mark.parametrize(
    ("op", "x", "weights", "reason"),
    [
        ("CONV_2D", (1, 4, 4, 6), (8, 3, 3, 3), "Grouped convolutions"),
        ("DEPTHWISE_CONV_2D", (1, 4, 4, 6), (1, 3, 3, 8), "multiple of the input channels"),
        ("DEPTHWISE_CONV_2D", (1, 4, 4, 6), (2, 3, 3, 6), "4-D NHWC"),
        ("CONV_2D", (1, 4, 6), (8, 3, 3, 6), "4-D NHWC"),
    ],
)
def test_constraints_tell_why(op, x, weights, reason):
    """A form outside the kernels' reach is refused with the sentence of its constraint."""
    inputs = (_tensor("x", x), _tensor("w", weights, np.zeros(weights, np.int8)))
    with pytest.raises(QmkitError, match=op) as caught:
        TABLE[op].check_constraints(None, inputs, "node")
    assert reason in caught.value.why


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"padding": 2}, "bad-model"),
        ({"stride_w": 0}, "bad-model"),
        ({"filter_height": 0}, "bad-shape"),
        ({"filter_width": 5, "padding": schema.Padding.VALID}, "bad-shape"),
    ],
)
def test_impossible_windows_are_refused(change, code):
    """Nonsense in the file is an error, not a network without meaning."""
    sound = {"padding": schema.Padding.SAME, "stride_h": 1, "stride_w": 1, "filter_height": 2, "filter_width": 2}
    tensors = [TensorDef("x", (1, 4, 4, 2), "int8", 0.1, 0), TensorDef("y", (1, 4, 4, 2), "int8", 0.1, 0)]
    pool = OperatorDef("MAX_POOL_2D", ["x"], ["y"], options("Pool2DOptions", **(sound | change)))
    with pytest.raises(QmkitError) as caught:
        tflite.load(build(tensors, [pool], ["x"], ["y"]), name="m")
    assert caught.value.code == code


@pytest.mark.parametrize("op", ["MEAN", "PAD"])
def test_operands_that_decide_shapes_must_be_constant(op):
    """Axes and paddings that are computed cannot be decoded."""
    with pytest.raises(QmkitError) as caught:
        TABLE[op].decode(None, (_tensor("x", (1, 3, 4, 5)), _tensor("computed", (2,))), ())
    assert caught.value.code == "unsupported-op"


@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("MEAN", mean.Attrs((0, 1), True)),
        ("MEAN", mean.Attrs((1, 3), True)),
        ("PAD", pad.Attrs((1, 0, 0, 0), (0, 0, 0, 0))),
    ],
)
def test_the_batch_stays_and_axes_are_adjacent(op, attrs):
    """What the integer kernels of MEAN and PAD cannot do is refused."""
    with pytest.raises(QmkitError) as caught:
        TABLE[op].check_constraints(attrs, (_tensor("x", (1, 3, 4, 5)), None), "node")
    assert caught.value.code == "unsupported-op"


def test_depthwise_of_one_channel_is_a_convolution():
    """A single input channel needs no kernel of its own."""
    case = next(case for case in cases_weighted.CASES if str(case) == "depthwise_conv_2d-one-channel-multiplier8")
    graph = tflite.load(case.model(), name="case")
    (node,) = graph.nodes
    spec = TABLE[node.op]
    (call,) = spec.emit(spec.prepare(node.attrs, graph.input_tensors(node), graph.tensors[node.output]))
    assert call.kernel == "conv_2d"
