"""Channels that do not matter vanish and nothing else changes, by TFLite's reference kernels and by the whole graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from quantmcu_kit import passes, tflite
from quantmcu_kit.ir.check import check
from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.types import Activation, DType, Padding, Quant, Size
from quantmcu_kit.ops import depthwise_conv_2d
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.table import TABLE
from tests.support.dead_channels import assert_cut_is_exact
from tests.support.networks import VALID, ZERO, Network
from tests.support.ports import random_input, run_ports
from tests.support.reference import Reference
from tests.support.shared import model_bytes, needs_shared
from tests.support.small_graphs import GraphBuilder

RUNS = 3


def network(shape: Sequence[int] = (1, 6, 7, 3)) -> Network:
    net = Network()
    net.map("x", shape)
    return net


def plant(net: Network, layer: str, values: dict[int, int]) -> None:
    """Output channels of ``layer`` that hold a constant: about so many steps above the zero-point."""
    weights, bias = net.tensors[f"{layer}/w"], net.tensors[f"{layer}/b"]
    data, biases = np.array(weights.data), np.array(bias.data)
    scales = np.broadcast_to(weights.scale, biases.shape)
    for channel, steps in values.items():
        np.moveaxis(data, weights.axis, 0)[channel] = 0
        biases[channel] = round(steps / scales[channel])
    net.tensors[weights.name] = dataclasses.replace(weights, data=data)
    net.tensors[bias.name] = dataclasses.replace(bias, data=biases)


def unread(net: Network, layer: str, channels: Sequence[int]) -> None:
    """Input channels that ``layer`` multiplies with zeros."""
    weights = net.tensors[f"{layer}/w"]
    data = np.array(weights.data)
    data[..., list(channels)] = 0
    net.tensors[weights.name] = dataclasses.replace(weights, data=data)


def cut(net: Network, outputs: Sequence[str]) -> Graph:
    """The graph that is left, after its outputs were compared with the file's under TFLite's reference kernels."""
    data = net.build(["x"], list(outputs))
    graph = check(passes.run_all(tflite.load(data, name="m")))
    reference, rng = Reference(data), np.random.default_rng(0)
    for _ in range(RUNS):
        inputs = [random_input(port, rng) for port in graph.inputs]
        for expected, actual in zip(reference.run(*inputs), run_ports(graph, inputs), strict=True):
            np.testing.assert_array_equal(actual, expected)
    return graph


def loaded(net: Network, *outputs: str) -> Graph:
    """The graph as it is in the file."""
    return tflite.load(net.build(["x"], list(outputs)), name="m")


def channels(graph: Graph) -> dict[str, int]:
    """Channels of each node's output."""
    return {node.name: graph.tensors[node.output].shape[-1] for node in graph.nodes}


def test_constant_goes_into_the_bias_of_what_reads_it():
    net = network()
    net.conv("x", "a", 4)
    net.conv("a", "y", 2, kernel=1)
    plant(net, "a", {1: 20, 3: -30})
    weights, bias = net.tensors["y/w"].data, net.tensors["y/b"].data
    graph = cut(net, ["y"])
    assert channels(graph) == {"a": 2, "y": 2}
    # Real constants are 20 and -30 output steps; their values less the zero-point are those numbers.
    expected = bias + weights[:, 0, 0, 1].astype(int) * 20 + weights[:, 0, 0, 3].astype(int) * -30
    np.testing.assert_array_equal(graph.tensors["y/b"].data, expected)
    np.testing.assert_array_equal(graph.tensors["a/w"].data, net.tensors["a/w"].data[[0, 2]])
    np.testing.assert_array_equal(graph.tensors["a/w"].quant.scale, np.float32(net.tensors["a/w"].scale)[[0, 2]])
    np.testing.assert_array_equal(graph.tensors["y/w"].data, weights[..., [0, 2]])


@pytest.mark.parametrize(("padding", "steps", "left"), [("same", 0, 3), ("same", 9, 4), ("valid", 9, 3)])
def test_constant_before_a_window_goes_unless_borders_show_it(padding, steps, left):
    """Padding counts as zero-points, so another constant adds less where a window reaches into it."""
    net = network()
    net.conv("x", "a", 4)
    chosen = {} if padding == "same" else {"padding": VALID}
    net.conv("a", "y", 2, **chosen)
    plant(net, "a", {2: steps})
    assert channels(cut(net, ["y"])) == {"a": left, "y": 2}


def test_unpadded_side_with_stride_two():
    """SAME with stride 2 over 8 pixels pads below and right only: one row of windows still differs."""
    net = network((1, 8, 8, 3))
    net.conv("x", "a", 4)
    net.conv("a", "y", 2, stride=2)
    plant(net, "a", {2: 9})
    assert channels(cut(net, ["y"]))["a"] == 4


def relu_depthwise(net: Network, x: str, y: str) -> None:
    """A depthwise convolution whose output is clamped at its zero-point."""
    net.depthwise(x, f"{y}/raw")
    net.node("RELU", [f"{y}/raw"], y, net.tensors[f"{y}/raw"].shape)


@pytest.mark.parametrize(("bias", "left"), [(-100_000, 3), (0, 4)])
def test_constant_through_a_depthwise_layer(bias, left):
    """The corner differs from the middle, unless both are clamped: then the channel is constant and goes."""
    net = network()
    net.conv("x", "a", 4)
    relu_depthwise(net, "a", "d")
    net.conv("d", "y", 2, kernel=1)
    plant(net, "a", {2: 40})
    weights, biases = (np.array(net.tensors[f"d/raw/{name}"].data) for name in "wb")
    weights[..., 2], biases[2] = 10, bias  # with a bias of 0, 4 taps at the corner and 9 in the middle: 24 and 54 steps
    for name, data in (("w", weights), ("b", biases)):
        net.tensors[f"d/raw/{name}"] = dataclasses.replace(net.tensors[f"d/raw/{name}"], data=data)
    assert channels(cut(net, ["y"])) == {"a": left, "d/raw": left, "y": 2}


def test_channel_that_nothing_reads_goes_with_all_before_it():
    net = network()
    net.conv("x", "a", 5)
    net.depthwise("a", "d")
    net.pool("MAX_POOL_2D", "d", "p")
    net.conv("p", "y", 2)
    unread(net, "y", [0, 4])
    assert channels(cut(net, ["y"])) == {"a": 3, "d": 3, "p": 3, "y": 2}


def test_channel_stays_that_one_of_several_readers_needs():
    """The padded window shows the constant, the pointwise layer alone would not."""
    net = network()
    net.conv("x", "a", 4)
    net.conv("a", "b", 2, kernel=1)
    net.conv("a", "c", 2)
    net.concatenation(["b", "c"], "y")
    plant(net, "a", {0: 5, 1: 0})
    assert channels(cut(net, ["y"])) == {"a": 3, "b": 2, "c": 2, "y": 4}


def test_sums_keep_what_either_side_needs():
    net = network()
    net.conv("x", "a", 4)
    net.conv("a", "b", 4)
    net.add("a", "b", "s")
    net.conv("s", "y", 2, kernel=1)
    plant(net, "a", {0: 5, 1: 0})
    plant(net, "b", {1: 7, 2: 7})
    assert channels(cut(net, ["y"])) == {"a": 3, "b": 3, "s": 3, "y": 2}  # channel 1 is constant on both sides


def test_constant_operands_are_cut_too():
    net = network()
    net.conv("x", "a", 4)
    net.scale_channels("a", "m")
    net.add_map("m", "s")
    net.conv("s", "y", 2)
    unread(net, "y", [1])
    graph = cut(net, ["y"])
    assert channels(graph) == {"a": 3, "m": 3, "s": 3, "y": 2}
    assert graph.tensors["m/factors"].shape == (1, 1, 1, 3) and graph.tensors["s/map"].shape == (1, 6, 7, 3)


def test_constant_plus_a_map_differs_from_pixel_to_pixel():
    net = network()
    net.conv("x", "a", 4)
    net.add_map("a", "s")
    net.conv("s", "y", 2, kernel=1)
    plant(net, "a", {1: 3})
    assert channels(cut(net, ["y"]))["s"] == 4


def test_through_concatenation_and_mean():
    net = network()
    net.conv("x", "a", 3)
    net.conv("x", "b", 4)
    net.concatenation(["a", "b"], "j")
    net.mean("j", "m", (1, 2), keep_dims=True)
    net.conv("m", "y", 2, kernel=1)
    plant(net, "a", {0: 50})
    plant(net, "b", {3: -20})
    unread(net, "y", [4])
    assert channels(cut(net, ["y"])) == {"a": 2, "b": 2, "j": 4, "m": 4, "y": 2}


@pytest.mark.parametrize("pixels", [1, 42])
def test_through_a_view_before_fully_connected(pixels):
    """Behind a map of several pixels each channel has a column for each of them."""
    net = network()
    net.conv("x", "a", 4)
    x = "a" if pixels > 1 else net.pool("AVERAGE_POOL_2D", "a", "p", window=6, stride=7, padding=VALID)
    net.fully_connected(x, "y", 5)
    plant(net, "a", {0: 15})
    columns = [pixel * 4 + 2 for pixel in range(pixels)]
    unread(net, "y", columns)
    graph = assert_cut_is_exact(loaded(net, "y"))
    assert channels(graph)["a"] == 2
    assert graph.tensors["y/w"].shape == (5, 2 * pixels)


def test_channel_stays_that_one_pixel_is_read_of():
    net = network()
    net.conv("x", "a", 4)
    net.fully_connected("a", "y", 5)
    unread(net, "y", [pixel * 4 + 2 for pixel in range(1, 42)])
    assert channels(assert_cut_is_exact(loaded(net, "y")))["a"] == 4


def test_outputs_keep_all_channels():
    net = network()
    net.conv("x", "a", 4)
    net.conv("a", "y", 2, kernel=1)
    plant(net, "a", {1: 20})
    plant(net, "y", {0: 3})
    assert channels(cut(net, ["a", "y"])) == {"a": 4, "y": 2}


def test_other_operators_keep_all_channels():
    net = network()
    net.conv("x", "a", 4)
    net.transpose("a", "t", (0, 2, 1, 3))
    net.conv("t", "y", 2)
    plant(net, "a", {1: 0})
    assert channels(cut(net, ["y"])) == {"a": 4, "t": 4, "y": 2}


def test_map_of_constants_keeps_a_channel():
    net = network()
    net.conv("x", "a", 3)
    net.conv("a", "y", 2, kernel=1)
    plant(net, "a", {0: 1, 1: 2, 2: 3})
    assert channels(cut(net, ["y"])) == {"a": 1, "y": 2}


def test_saturated_channel_is_constant():
    """Every input drives the channel beyond the clamp, whatever its weights."""
    net = network()
    net.conv("x", "a", 3)
    net.conv("a", "y", 2, kernel=1)
    bias = net.tensors["a/b"]
    net.tensors["a/b"] = dataclasses.replace(bias, data=np.array([5, 3_000_000, -3_000_000]))
    assert channels(cut(net, ["y"])) == {"a": 1, "y": 2}


def test_weights_that_two_layers_share():
    """The second layer reads a map without constants: the weights they share become two."""
    net = network()
    for name in "ab":
        net.conv("x", name, 4)
        plant(net, name, {3: 6} if name == "a" else {})
    net.conv("a", "c", 2, kernel=1)
    chosen = next(operator for operator in net.operators if operator.outputs == ["c"])
    net.operators.append(dataclasses.replace(chosen, inputs=["b", *chosen.inputs[1:]], outputs=["d"]))
    net.map("d", net.tensors["c"].shape)
    net.add("c", "d", "y")
    graph = cut(net, ["y"])
    assert channels(graph) == {"a": 3, "b": 4, "c": 2, "d": 2, "y": 2}
    by_name = {node.name: node for node in graph.nodes}
    assert [graph.tensors[by_name[name].inputs[1]].shape[3] for name in "cd"] == [3, 4]


def test_layer_without_a_bias_gets_one():
    net = network()
    net.conv("x", "a", 4)
    net.conv("a", "y", 2, kernel=1)
    plant(net, "a", {1: 11})
    net.operators[-1] = dataclasses.replace(net.operators[-1], inputs=["a", "y/w"])
    graph = assert_cut_is_exact(loaded(net, "y"))
    added = graph.tensors[graph.nodes[1].inputs[2]]
    np.testing.assert_array_equal(added.data, net.tensors["y/w"].data[:, 0, 0, 1].astype(int) * 11)
    np.testing.assert_allclose(added.quant.scale, np.float32(net.tensors["y/w"].scale) * np.float32(0.05))


def depthwise_to_six(inner: int, planted: Sequence[int]) -> Graph:
    """x -> conv a -> depthwise d (6) -> conv y, some channels of d without weights."""
    builder = GraphBuilder()
    builder.feature_map("x", (1, 6, 6, 2), zero_point=ZERO)
    builder.conv("x", "a", inner)
    rng = np.random.default_rng(2)
    weights = rng.integers(-127, 128, (1, 3, 3, 6)).astype(np.int8)
    weights[..., list(planted)] = 0
    scale = np.full(6, 0.002, np.float32)
    quant = Quant(scale, np.zeros(6, np.int32), 3)
    builder.tensors["d/w"] = Tensor("d/w", weights.shape, DType.I8, quant, weights)
    bias = rng.integers(-500, 500, 6).astype(np.int32)
    builder.tensors["d/b"] = Tensor("d/b", (6,), DType.I32, Quant(scale, np.zeros(6, np.int32), 0), bias)
    attrs = depthwise_conv_2d.Attrs(Size(1, 1), Size(1, 1), Padding(1, 1, 1, 1), Activation.NONE)
    builder.feature_map("d", (1, 6, 6, 6))
    builder.nodes.append(Node("DEPTHWISE_CONV_2D", "d", attrs, ("a", "d/w", "d/b"), ("d",)))
    builder.conv("d", "y", 2, kernel=1)
    return builder.build(("x",), ("y",))


@pytest.mark.parametrize(("planted", "left"), [((2, 3), 2), ((3,), 3), ((0, 1, 4, 5), 1)])
def test_depthwise_multiplier(planted, left):
    """An input channel goes once all of its outputs do."""
    graph = depthwise_to_six(3, planted)
    assert channels(assert_cut_is_exact(graph)) == {"a": left, "d": 2 * left, "y": 2}


def test_depthwise_of_one_channel_loses_single_outputs():
    assert channels(assert_cut_is_exact(depthwise_to_six(1, (0, 4)))) == {"a": 1, "d": 4, "y": 2}


def with_scale(graph: Graph, name: str, scale: float) -> Graph:
    tensor = dataclasses.replace(graph.tensors[name], quant=Quant.per_tensor(scale, -128))
    return graph.replace(tensors={**graph.tensors, name: tensor})


def test_graphs_that_differ_in_quantization_lose_the_same_channels():
    """A constant that is the zero-point in one graph and another value in the other stays before a padded window."""
    net = network()
    net.conv("x", "a", 4)
    net.conv("a", "y", 2)
    plant(net, "a", {1: 3, 2: 0})
    graph = loaded(net, "y")
    coarse = with_scale(graph, "a", 10.0)  # where 3 steps of 0.05 round to none
    assert channels(passes.remove_dead_channels(coarse))["a"] < channels(passes.remove_dead_channels(graph))["a"] == 3
    both = passes.remove_alike({"fine": graph, "coarse": coarse})
    assert [channels(each)["a"] for each in both.values()] == [3, 3]
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (3, 6, 7, 3)).astype(np.int8)
    for before, after in zip((graph, coarse), both.values(), strict=True):
        outputs = (Interpreter(each, integer=True).run({"x": x})["y"] for each in (before, after))
        np.testing.assert_array_equal(*outputs)
    assert channels(passes.remove_alike({"fine": graph}, frozenset({"a"}))["fine"])["a"] == 4


def test_nothing_to_remove_changes_nothing():
    net = network()
    net.conv("x", "a", 4)
    net.conv("a", "y", 2)
    graph = loaded(net, "y")
    assert passes.remove_dead_channels(graph) is graph
    assert passes.count_removed_channels(graph, graph) == 0


def test_float_graphs_wait_for_their_integers():
    net = Network("float32")
    net.map("x", (1, 6, 6, 3))
    net.conv("x", "a", 4)
    net.conv("a", "y", 2)
    graph = loaded(net, "y")
    assert passes.remove_dead_channels(graph) is graph


def macs(graph: Graph) -> int:
    return sum(
        TABLE[node.op].cost(node.attrs, graph.input_tensors(node), graph.tensors[node.output]).macs
        for node in graph.nodes
    )


@needs_shared
def test_person_detector_halves():
    """971 pointwise channels have no weights [the file]; seven more are clamped, or read by nothing."""
    data = model_bytes("vww_96_int8")
    before = tflite.load(data, name="m")
    pointwise = [node for node in before.nodes if node.op == "CONV_2D"]
    empty = sum(int((~before.tensors[node.inputs[1]].data.any(axis=(1, 2, 3))).sum()) for node in pointwise)
    assert empty == 971
    graph = passes.run_all(before)
    by_name = channels(graph)
    assert sum(before.tensors[node.output].shape[3] - by_name[node.name] for node in pointwise) == 978
    assert passes.count_removed_channels(before, graph) == 1722
    assert macs(graph) / macs(before) < 0.4981
    reference, rng = Reference(data), np.random.default_rng(0)
    for _ in range(2):
        inputs = [random_input(port, rng) for port in graph.inputs]
        np.testing.assert_array_equal(run_ports(graph, inputs)[0], reference.run(*inputs)[0])
