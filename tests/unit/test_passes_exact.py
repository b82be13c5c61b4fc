"""Passes change nothing that a user could measure: outputs equal TFLite's reference kernels byte for byte."""

from __future__ import annotations

import numpy as np
import pytest

from quantmcu_kit import passes, tflite
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.types import Activation, DType, Padding
from tests.support.networks import VALID, Network
from tests.support.ports import random_input, run_ports
from tests.support.reference import Reference
from tests.support.shared import model_bytes, needs_shared
from tests.support.tflite_builder import options

RUNS = 4


def simplified(data: bytes) -> Graph:
    return passes.run_all(tflite.load(data, name="m"))


def assert_same_as_tflite(data: bytes, runs: int = RUNS) -> Graph:
    """The simplified graph, after its outputs were compared with the file's under TFLite's reference kernels."""
    graph = simplified(data)
    exact = graph.feature_maps()[0].dtype is DType.I8
    reference = Reference(data)
    rng = np.random.default_rng(0)
    for _ in range(runs):
        inputs = [random_input(port, rng) for port in graph.inputs]
        for port, expected, actual in zip(graph.outputs, reference.run(*inputs), run_ports(graph, inputs), strict=True):
            assert actual.dtype == expected.dtype and actual.shape == expected.shape, port.name
            if exact:
                np.testing.assert_array_equal(actual, expected, port.name)
            else:
                np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    return graph


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def network(dtype: str = "int8", shape: tuple[int, ...] = (1, 8, 8, 3), **map_arguments) -> Network:
    made = Network(dtype)
    made.map("x", shape, **map_arguments)
    return made


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize(("op", "activation"), [("RELU", Activation.RELU), ("RELU6", Activation.RELU6)])
def test_activation_is_fused(dtype, op, activation):
    net = network(dtype)
    net.conv("x", "c", 4)
    net.node(op, ["c"], "y", (1, 8, 8, 4))
    graph = assert_same_as_tflite(net.build(["x"], ["y"]))
    assert ops(graph) == ["CONV_2D"]
    assert graph.nodes[0].attrs.activation is activation
    assert (graph.nodes[0].name, graph.nodes[0].output) == ("c", "y")


def test_activation_is_fused_into_add():
    net = network()
    net.conv("x", "c", 3)
    net.add("x", "c", "a")
    net.node("RELU", ["a"], "y", (1, 8, 8, 3))
    assert ops(assert_same_as_tflite(net.build(["x"], ["y"]))) == ["CONV_2D", "ADD"]


def test_activation_with_another_scale_stays():
    net = network()
    net.conv("x", "c", 4)
    net.node("RELU", ["c"], "y", (1, 8, 8, 4), scale=0.03, zero=-128)
    assert ops(assert_same_as_tflite(net.build(["x"], ["y"]))) == ["CONV_2D", "RELU"]


@pytest.mark.parametrize("outputs", [["y", "z"], ["y", "c"]])
def test_activation_stays_where_its_input_is_needed(outputs):
    net = network()
    net.conv("x", "c", 4)
    net.node("RELU", ["c"], "y", (1, 8, 8, 4))
    net.conv("c", "z", 2)
    graph = assert_same_as_tflite(net.build(["x"], outputs))
    assert "RELU" in ops(graph)


def test_activation_behind_an_activation_stays():
    net = network()
    net.conv("x", "c", 4, activation=1)
    net.node("RELU6", ["c"], "y", (1, 8, 8, 4))
    assert ops(assert_same_as_tflite(net.build(["x"], ["y"]))) == ["CONV_2D", "RELU6"]


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_pad_is_fused_into_every_convolution_behind_it(dtype):
    net = network(dtype)
    net.pad("x", "p", [(0, 0), (1, 2), (0, 1), (0, 0)])
    net.conv("p", "y", 4, padding=VALID)
    net.depthwise("p", "z", padding=VALID)
    graph = assert_same_as_tflite(net.build(["x"], ["y", "z"]))
    assert sorted(ops(graph)) == ["CONV_2D", "DEPTHWISE_CONV_2D"]
    assert all(node.attrs.padding == Padding(1, 2, 0, 1) for node in graph.nodes)


def test_pad_adds_to_the_padding_of_its_reader():
    net = network()
    net.pad("x", "p", [(0, 0), (1, 0), (0, 1), (0, 0)])
    net.conv("p", "y", 4)
    graph = assert_same_as_tflite(net.build(["x"], ["y"]))
    assert graph.nodes[0].attrs.padding == Padding(2, 1, 1, 2)


@pytest.mark.parametrize(
    ("paddings", "kernel"),
    [
        ([(0, 0), (1, 1), (1, 1), (0, 2)], 3),  # channels
        ([(0, 0), (0, 3), (0, 0), (0, 0)], 3),  # a window would lie wholly within the padding
        ([(0, 0), (1, 1), (1, 1), (0, 0)], 1),
    ],
)
def test_pad_that_no_convolution_can_take_stays(paddings, kernel):
    net = network()
    net.pad("x", "p", paddings)
    net.conv("p", "y", 4, kernel=kernel, padding=VALID)
    assert ops(assert_same_as_tflite(net.build(["x"], ["y"]))) == ["PAD", "CONV_2D"]


def test_pad_with_another_reader_stays():
    net = network()
    net.pad("x", "p", [(0, 0), (1, 1), (1, 1), (0, 0)])
    net.conv("p", "y", 4, padding=VALID)
    net.node("RELU", ["p"], "z", (1, 10, 10, 3))
    assert ops(assert_same_as_tflite(net.build(["x"], ["y", "z"]))) == ["PAD", "CONV_2D", "RELU"]


def test_identities_vanish():
    net = network()
    net.conv("x", "a", 4)
    net.pad("a", "b", [(0, 0)] * 4)
    net.node("RESHAPE", ["b", net.constant("shape", [1, 8, 8, 4])], "c", (1, 8, 8, 4), version=1)
    net.transpose("c", "d", (0, 1, 2, 3))
    net.node("QUANTIZE", ["d"], "e", (1, 8, 8, 4))
    pool = options("Pool2DOptions", padding=VALID, stride_h=1, stride_w=1, filter_height=1, filter_width=1)
    net.node("MAX_POOL_2D", ["e"], "f", (1, 8, 8, 4), pool)
    net.node("AVERAGE_POOL_2D", ["f"], "g", (1, 8, 8, 4), pool)
    concatenation = options("ConcatenationOptions", axis=3, fused_activation_function=0)
    net.node("CONCATENATION", ["g"], "h", (1, 8, 8, 4), concatenation)
    net.conv("h", "y", 2)
    graph = assert_same_as_tflite(net.build(["x"], ["y"]))
    assert ops(graph) == ["CONV_2D", "CONV_2D"]
    assert graph.nodes[1].inputs[0] == "a"


def test_identity_at_the_end_leaves_its_port():
    net = network()
    net.conv("x", "a", 4)
    net.pad("a", "y", [(0, 0)] * 4)
    graph = assert_same_as_tflite(net.build(["x"], ["y"]))
    assert ops(graph) == ["CONV_2D"]
    assert (graph.outputs[0].name, graph.outputs[0].tensor, graph.outputs[0].source) == ("y", "a", 5)


def test_identity_between_two_outputs_stays():
    net = network()
    net.conv("x", "a", 4)
    net.pad("a", "y", [(0, 0)] * 4)
    assert ops(assert_same_as_tflite(net.build(["x"], ["a", "y"]))) == ["CONV_2D", "PAD"]


def test_view_with_another_scale_is_no_identity():
    """RESHAPE copies bytes whatever scale the file declares behind it; the next layer reads them by that scale."""
    net = network()
    net.conv("x", "a", 4)
    net.node("RESHAPE", ["a", net.constant("shape", [1, 8, 8, 4])], "b", (1, 8, 8, 4), version=1, scale=0.07, zero=5)
    net.conv("b", "y", 2)
    assert ops(assert_same_as_tflite(net.build(["x"], ["y"]))) == ["CONV_2D", "RESHAPE", "CONV_2D"]


def test_shape_arithmetic_folds():
    net = network("float32")
    net.map("s", (4,), dtype="int32")
    net.map("batch", (), dtype="int32")
    net.conv("x", "c", 4)
    net.node("SHAPE", ["c"], "s", (4,), options("ShapeOptions", out_type=2), dtype="int32")
    slices = [net.constant(name, [value]) for name, value in (("begin", 0), ("end", 1), ("step", 1))]
    chosen = options("StridedSliceOptions", shrink_axis_mask=1)
    net.node("STRIDED_SLICE", ["s", *slices], "batch", (), chosen, dtype="int32")
    pack = options("PackOptions", values_count=2)
    net.node("PACK", ["batch", net.constant("n", 256)], "wanted", (2,), pack, dtype="int32")
    net.node("RESHAPE", ["c", "wanted"], "y", (1, 256))
    graph = assert_same_as_tflite(net.build(["x"], ["y"]))
    assert ops(graph) == ["CONV_2D", "RESHAPE"]
    np.testing.assert_array_equal(graph.tensors["wanted"].data, [1, 256])


def test_float16_weights_behind_dequantize():
    rng = np.random.default_rng(0)
    net = network("float32")
    net.constant("w16", rng.normal(size=(4, 3, 3, 3)).astype(np.float16), "float16")
    net.node("DEQUANTIZE", ["w16"], "w", (4, 3, 3, 3))
    net.conv("x", "y", 4)
    net.operators[-1].inputs[1] = "w"
    data = net.build(["x"], ["y"])
    assert tflite.classify(tflite.load(data, name="m")) is tflite.ModelKind.FLOAT16
    graph = assert_same_as_tflite(data)
    assert ops(graph) == ["CONV_2D"]
    assert graph.tensors["w"].dtype is DType.F32


def test_int8_weights_under_float_maps_become_float():
    net = network("float32")
    net.conv("x", "y", 2, kernel=1)
    values = np.array([[-3, 5, 7], [127, -128, 0]]).reshape(2, 1, 1, 3)
    net.constant("y/w", values, "int8", scale=[0.5, 0.25], axis=0)
    graph = simplified(net.build(["x"], ["y"]))
    weights = graph.tensors["y/w"]
    assert (weights.dtype, weights.quant) == (DType.F32, None)
    expected = [[-1.5, 2.5, 3.5], [31.75, -32, 0]]
    np.testing.assert_array_equal(weights.data.reshape(2, 3), np.float32(expected))


def test_float_boundary_of_an_integer_body_goes_into_the_ports():
    net = Network()
    net.map("in", (1, 8, 8, 3), dtype="float32")
    net.node("QUANTIZE", ["in"], "x", (1, 8, 8, 3), scale=1 / 128, zero=0)
    net.conv("x", "c", 4)
    net.node("DEQUANTIZE", ["c"], "out", (1, 8, 8, 4), dtype="float32")
    graph = assert_same_as_tflite(net.build(["in"], ["out"]))
    assert ops(graph) == ["CONV_2D"]
    enter, leave = graph.inputs[0], graph.outputs[0]
    assert (enter.tensor, enter.name, enter.dtype, enter.quant) == ("x", "in", DType.F32, None)
    assert (leave.tensor, leave.name, leave.dtype) == ("c", "out", DType.F32)


def test_uint8_boundary_of_an_integer_body_goes_into_the_ports():
    net = Network()
    net.map("in", (1, 8, 8, 3), dtype="uint8", zero=121)
    net.node("QUANTIZE", ["in"], "x", (1, 8, 8, 3))
    net.conv("x", "c", 4)
    net.node("QUANTIZE", ["c"], "out", (1, 8, 8, 4), dtype="uint8", zero=121)
    graph = assert_same_as_tflite(net.build(["in"], ["out"]))
    assert ops(graph) == ["CONV_2D"]
    assert (graph.inputs[0].dtype, graph.inputs[0].quant.z) == (DType.U8, 121)


def test_uint8_boundary_with_another_scale_is_computed():
    net = Network()
    net.map("in", (1, 8, 8, 3), dtype="uint8", zero=121, scale=0.06)
    net.node("QUANTIZE", ["in"], "x", (1, 8, 8, 3))
    net.conv("x", "y", 4)
    assert ops(assert_same_as_tflite(net.build(["in"], ["y"]))) == ["QUANTIZE", "CONV_2D"]


def test_input_quantized_twice_alike():
    net = Network()
    net.map("in", (1, 8, 8, 3), dtype="float32")
    for name in "ab":
        net.node("QUANTIZE", ["in"], name, (1, 8, 8, 3))
    net.add("a", "b", "y")
    graph = assert_same_as_tflite(net.build(["in"], ["y"]))
    assert graph.nodes[0].inputs == ("a", "a")


@pytest.mark.parametrize("transpose_first", [False, True])
def test_nchw_float_input_of_an_integer_body(transpose_first):
    net = Network()
    net.map("in", (1, 3, 8, 8), dtype="float32")
    if transpose_first:
        net.transpose("in", "t", (0, 2, 3, 1), dtype="float32")
        net.node("QUANTIZE", ["t"], "x", (1, 8, 8, 3))
    else:
        net.node("QUANTIZE", ["in"], "t", (1, 3, 8, 8))
        net.transpose("t", "x", (0, 2, 3, 1))
    net.conv("x", "y", 4)
    graph = assert_same_as_tflite(net.build(["in"], ["y"]))
    assert ops(graph) == ["CONV_2D"]
    port = graph.inputs[0]
    assert (port.shape, port.permutation) == ((1, 3, 8, 8), (0, 2, 3, 1))
    assert graph.tensors[port.tensor].shape == (1, 8, 8, 3)


def test_input_to_nchw_is_computed():
    """A picture enters as NHWC whatever the network makes of it."""
    net = network()
    net.transpose("x", "y", (0, 3, 1, 2))
    assert ops(assert_same_as_tflite(net.build(["x"], ["y"]))) == ["TRANSPOSE"]


def test_transposes_cancel():
    net = network()
    net.conv("x", "c", 4)
    net.transpose("c", "t", (0, 3, 1, 2))
    net.transpose("t", "u", (0, 2, 3, 1))
    net.conv("u", "y", 2)
    assert ops(assert_same_as_tflite(net.build(["x"], ["y"]))) == ["CONV_2D", "CONV_2D"]


def test_transposes_compose():
    net = network()
    net.conv("x", "c", 4)
    net.transpose("c", "t", (0, 3, 1, 2))
    net.transpose("t", "y", (0, 1, 3, 2))
    graph = assert_same_as_tflite(net.build(["x"], ["y"]))
    assert ops(graph) == ["CONV_2D", "TRANSPOSE"]
    assert graph.nodes[1].attrs.permutation == (0, 3, 2, 1)


@pytest.mark.parametrize("keep_dims", [False, True])
def test_transpose_before_mean_of_height_and_width(keep_dims):
    net = network()
    net.conv("x", "c", 4)
    net.transpose("c", "t", (0, 3, 1, 2))
    net.mean("t", "y", [2, 3], keep_dims=keep_dims)
    graph = assert_same_as_tflite(net.build(["x"], ["y"]))
    assert ops(graph) == ["CONV_2D", "MEAN", "RESHAPE"] if keep_dims else ["CONV_2D", "MEAN"]


def test_transpose_before_two_means():
    """Two means round twice and stay two; the axes left between them are put in order again."""
    net = network()
    net.conv("x", "c", 4)
    net.transpose("c", "t", (0, 3, 1, 2))
    net.mean("t", "m", [3])
    net.mean("m", "y", [2])
    graph = assert_same_as_tflite(net.build(["x"], ["y"]))
    assert ops(graph) == ["CONV_2D", "MEAN", "MEAN"]
    assert [node.attrs.axes for node in graph.nodes[1:]] == [(2,), (1,)]


def test_transpose_behind_mean_where_axes_are_left():
    net = network()
    net.conv("x", "c", 4)
    net.transpose("c", "t", (0, 3, 1, 2))
    net.mean("t", "y", [3])
    graph = assert_same_as_tflite(net.build(["x"], ["y"]))
    assert ops(graph) == ["CONV_2D", "MEAN", "TRANSPOSE"]
    assert graph.nodes[2].attrs.permutation == (0, 2, 1)


def test_transpose_stays_where_the_mean_would_skip_an_axis():
    net = network()
    net.conv("x", "c", 4)
    net.transpose("c", "t", (0, 3, 1, 2))
    net.mean("t", "y", [1, 2])  # channels and height: not adjacent in NHWC
    assert ops(assert_same_as_tflite(net.build(["x"], ["y"]))) == ["CONV_2D", "TRANSPOSE", "MEAN"]


def test_transpose_of_axes_of_size_one_is_a_view():
    net = network()
    net.conv("x", "c", 1)
    net.transpose("c", "y", (0, 3, 1, 2))
    assert ops(assert_same_as_tflite(net.build(["x"], ["y"]))) == ["CONV_2D", "RESHAPE"]


def test_nodes_that_no_output_needs_vanish():
    net = network()
    net.conv("x", "y", 4)
    net.conv("x", "unused", 2)
    graph = assert_same_as_tflite(net.build(["x"], ["y"]))
    assert ops(graph) == ["CONV_2D"]
    assert "unused/w" not in graph.tensors


@needs_shared
@pytest.mark.parametrize(
    "model",
    ["hello_world_int8", "kws_int8", "micro_speech_int8", "resnet8_int8", "fomo_face_int8", "mcunet_vww_80_int8"],
)
def test_real_models(model):
    assert_same_as_tflite(model_bytes(model), runs=1)


@needs_shared
def test_every_pad_of_mcunet_is_fused():
    graph = simplified(model_bytes("mcunet_320kb_int8"))
    assert ops(graph).count("PAD") == 0
    assert len(graph.nodes) == 122 - 54


def test_float_conv_of_one_pixel_is_dense():
    net = network("float32", (1, 1, 1, 12))
    net.conv("x", "c", 5, kernel=1)
    net.node("RELU6", ["c"], "y", (1, 1, 1, 5))
    graph = assert_same_as_tflite(net.build(["x"], ["y"]))
    assert ops(graph) == ["FULLY_CONNECTED"]
    assert graph.tensors["y"].shape == (1, 1, 1, 5)
    assert {tensor.shape for tensor in graph.tensors.values() if tensor.is_constant} == {(5, 12), (5,)}


@pytest.mark.parametrize(("dtype", "width", "kernel"), [("int8", 1, 1), ("float32", 2, 1), ("float32", 1, 3)], ids=str)
def test_other_convs_stay(dtype, width, kernel):
    net = network(dtype, (1, 1, width, 12))
    net.conv("x", "y", 5, kernel=kernel)
    assert ops(assert_same_as_tflite(net.build(["x"], ["y"]))) == ["CONV_2D"]
