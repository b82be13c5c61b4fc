"""What the importer makes of well-formed files."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from quantmcu_kit import tflite
from quantmcu_kit.ir.types import Activation, DType, Padding
from quantmcu_kit.ops.table import TABLE
from tests.support.networks import SCALE, Network, conv_tensor, one_conv
from tests.support.shared import model_bytes, needs_shared
from tests.support.tflite_builder import TensorDef, build


def load(data: bytes):
    return tflite.load(data, name="m", where="m.tflite")


def test_graph_and_ports_of_one_convolution():
    data = one_conv()
    graph = load(data)
    (node,) = graph.nodes
    assert (graph.name, graph.sha256) == ("m", hashlib.sha256(data).hexdigest())
    assert (node.op, node.inputs, node.outputs) == ("CONV_2D", ("x", "y/w", "y/b"), ("y",))
    assert node.attrs.padding == Padding(1, 1, 1, 1)
    (port,) = graph.inputs
    assert (port.tensor, port.name, port.dtype, port.shape) == ("x", "x", DType.I8, (1, 8, 8, 3))
    assert port.permutation is None
    assert port.quant.s == np.float32(SCALE)


def test_constants_are_what_the_file_holds():
    weights = np.arange(108).reshape(4, 3, 3, 3)
    graph = load(one_conv(conv_tensor("y/w", data=weights)))
    np.testing.assert_array_equal(graph.tensors["y/w"].data, weights)
    assert not graph.tensors["y/w"].data.flags.writeable
    assert graph.tensors["y/b"].dtype is DType.I32


def test_source_is_the_index_in_the_file():
    graph = load(one_conv())
    assert [graph.tensors[name].source for name in ("x", "y")] == [0, 3]
    assert (graph.inputs[0].source, graph.outputs[0].source) == (0, 3)


def test_fused_activation_is_decoded():
    network = Network()
    network.map("x", (1, 8, 8, 3))
    network.conv("x", "y", 4, activation=3)
    assert load(network.build(["x"], ["y"])).nodes[0].attrs.activation is Activation.RELU6


def test_node_is_named_by_the_first_of_its_joined_names():
    network = Network()
    network.map("x", (1, 8, 8, 3))
    network.conv("x", "block/relu;block/conv", 3)
    network.conv("block/relu;block/conv", "block/relu;block/other", 3)
    graph = load(network.build(["x"], ["block/relu;block/other"]))
    assert [node.name for node in graph.nodes] == ["block/relu", "block/relu#1"]
    assert graph.outputs[0].name == "block/relu;block/other"


@pytest.mark.parametrize(("written", "expected"), [("", "conv_2d_0"), ("x", "x#1"), ("a\nb\x07*/", "a?b?*/")])
def test_names_become_unique_and_printable(written, expected):
    """The builder wants unique names, so the file is patched: same length where there is a name."""
    placeholder = "?" * max(1, len(written))
    network = Network()
    network.map("x", (1, 8, 8, 3))
    network.conv("x", placeholder, 4)
    data = network.build(["x"], [placeholder])
    old = len(placeholder).to_bytes(4, "little") + placeholder.encode() + b"\0"
    new = len(written).to_bytes(4, "little") + written.encode().ljust(len(placeholder), b"\0") + b"\0"
    assert data.count(old) == 1
    assert load(data.replace(old, new)).nodes[0].output == expected


def test_long_names_are_cut():
    network = Network()
    network.map("x" * 5000, (1, 8, 8, 3))
    network.conv("x" * 5000, "y", 4)
    assert load(network.build(["x" * 5000], ["y"])).inputs[0].name == "x" * 512


def test_legacy_uint8_becomes_int8_of_the_same_meaning():
    weights = np.arange(108).reshape(4, 3, 3, 3)
    graph = load(
        one_conv(
            TensorDef("x", (1, 8, 8, 3), "uint8", scale=0.5, zero_point=3),
            TensorDef("y", (1, 8, 8, 4), "uint8", scale=0.5, zero_point=128),
            TensorDef("y/w", (4, 3, 3, 3), "uint8", scale=0.25, zero_point=200, data=weights),
        )
    )
    x, w = graph.tensors["x"], graph.tensors["y/w"]
    assert (x.dtype, x.quant.z) == (DType.I8, -125)
    assert (w.dtype, w.quant.z, w.quant.axis) == (DType.I8, 72, None)
    np.testing.assert_array_equal(w.quant.dequantize(w.data), np.float32(0.25) * (weights - 200))
    (port,) = graph.inputs
    assert (port.dtype, port.quant.z) == (DType.U8, 3)
    assert tflite.classify(graph) is tflite.ModelKind.UINT8


def test_int8_convolution_weights_of_one_scale_count_as_per_channel():
    """TFLite multiplies their scales in double precision, unlike those of uint8 weights."""
    graph = load(one_conv(conv_tensor("y/w", scale=0.01, axis=0)))
    quant = graph.tensors["y/w"].quant
    assert (quant.axis, quant.scale.size) == (0, 1)


def test_negative_weight_scales_are_accepted():
    """Folding a batch normalization with a negative gamma leaves them; a real model has 40."""
    scales = [0.1, -0.2, 0.0, 0.3]
    quant = load(one_conv(conv_tensor("y/w", scale=scales))).tensors["y/w"].quant
    np.testing.assert_array_equal(quant.scale, np.float32(scales))


def test_tensors_that_nothing_uses_may_be_of_any_kind():
    graph = load(one_conv(TensorDef("odd", (1, -1, 9, 9, 9, 9), "int16"), TensorDef("more", (), "bool")))
    assert set(graph.tensors) == {"x", "y/w", "y/b", "y"}


def test_absent_bias():
    network = Network()
    network.map("x", (1, 8, 8, 3))
    network.conv("x", "y", 4)
    operator = network.operators[0]
    operator.inputs[2] = None
    graph = load(network.build(["x"], ["y"]))
    assert graph.nodes[0].inputs == ("x", "y/w", None)


def test_several_inputs_and_outputs_keep_their_order():
    network = Network()
    for name in "ab":
        network.map(name, (1, 8, 8, 3))
    network.conv("a", "c", 3)
    network.add("c", "b", "d")
    graph = load(network.build(["b", "a"], ["d", "c"]))
    assert [port.name for port in graph.inputs] == ["b", "a"]
    assert [port.name for port in graph.outputs] == ["d", "c"]


def test_kinds():
    assert tflite.classify(load(one_conv())) is tflite.ModelKind.INT8
    network = Network("float32")
    network.map("x", (1, 8, 8, 3))
    network.conv("x", "y", 3)
    assert tflite.classify(load(network.build(["x"], ["y"]))) is tflite.ModelKind.FLOAT


@needs_shared
@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("hello_world_float", tflite.ModelKind.FLOAT),
        ("blazeface_front_f16", tflite.ModelKind.FLOAT16),
        ("kws_hybrid", tflite.ModelKind.DYNAMIC_RANGE),
        ("mcunet_vww_80_int8", tflite.ModelKind.INT8),
        ("mobilenet_v2_10_224_int8io8", tflite.ModelKind.INT8),
        ("mobilenet_v1_025_128_uint8", tflite.ModelKind.UINT8),
    ],
)
def test_kinds_of_real_models(model, kind):
    assert tflite.classify(load(model_bytes(model))) is kind


@needs_shared
def test_misleading_quantized_dimension_is_harmless():
    """One scale belongs to the whole tensor, whatever axis the file names."""
    odd, plain = load(model_bytes("person_detect_bad_qdim")), load(model_bytes("person_detect_int8"))
    assert [node.op for node in odd.nodes] == [node.op for node in plain.nodes]
    assert all(tensor.quant.axis is None for tensor in odd.feature_maps())


def test_support_lists_every_operator_with_sentences():
    listed = {op.name: op for op in tflite.supported_ops()}
    assert list(listed) == sorted(TABLE)
    assert any("Grouped" in sentence for sentence in listed["CONV_2D"].constraints)
    assert listed["SHAPE"].folds_away and not listed["CONV_2D"].folds_away
    assert all(sentence.endswith(".") for op in listed.values() for sentence in op.constraints)


def test_same_bytes_same_graph():
    network = Network()
    network.map("x", (1, 8, 8, 3))
    network.conv("x", "y", 4)
    data = build(list(network.tensors.values()), network.operators, ["x"], ["y"])
    first, second = load(data), load(data)
    assert list(first.tensors) == list(second.tensors) and first.nodes == second.nodes
