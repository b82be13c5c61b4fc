"""Networks that import but cannot become a library are refused after simplification, with node and remedy."""

from __future__ import annotations

import numpy as np
import pytest

from quantmcu_kit import passes, tflite
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.passes.rewire import rewire, unique_name
from tests.support.networks import Network, conv_chain
from tests.support.tflite_builder import options


def refusal(network: Network, inputs: list[str], outputs: list[str]) -> QmkitError:
    graph = tflite.load(network.build(inputs, outputs), name="m")
    with pytest.raises(QmkitError) as caught:
        passes.run_all(graph)
    assert caught.value.why and caught.value.hint
    return caught.value


def integer_then_float() -> Network:
    """int8 convolution, DEQUANTIZE, float SOFTMAX."""
    network = Network()
    network.map("x", (1, 8, 8, 3))
    network.conv("x", "c", 4)
    network.node("DEQUANTIZE", ["c"], "real", (1, 8, 8, 4), dtype="float32")
    network.node("SOFTMAX", ["real"], "y", (1, 8, 8, 4), options("SoftmaxOptions", beta=1.0), dtype="float32")
    return network


def test_float_tail_of_an_integer_network():
    error = refusal(integer_then_float(), ["x"], ["y"])
    assert error.code == "unsupported-model"
    assert "DEQUANTIZE 'real'" in error.message
    assert "full-integer" in error.hint


def test_float_output_that_is_used_again():
    assert refusal(integer_then_float(), ["x"], ["y", "real"]).code == "unsupported-model"


def test_integer_tail_of_a_float_network():
    network = Network("float32")
    network.map("x", (1, 8, 8, 3))
    network.conv("x", "c", 4)
    network.node("QUANTIZE", ["c"], "y", (1, 8, 8, 4), dtype="int8")
    error = refusal(network, ["x"], ["y"])
    assert error.code == "unsupported-model"
    assert "QUANTIZE 'y'" in error.message


def test_float_and_integer_side_by_side():
    network = conv_chain(3, 4)
    network.map("f", (1, 4, 4, 2), dtype="float32")
    network.node("RELU", ["f"], "g", (1, 4, 4, 2), dtype="float32")
    error = refusal(network, ["t0", "f"], ["t1", "g"])
    assert error.code == "unsupported-model"
    assert "'f' is float32" in error.message


def test_shape_that_does_not_fold():
    """PACK of values that are computed at run time."""
    network = Network()
    network.map("x", (1, 4))
    network.node("PACK", ["x", "x"], "y", (1, 2, 4), options("PackOptions", values_count=2, axis=1))
    error = refusal(network, ["x"], ["y"])
    assert error.code == "unsupported-op"
    assert "PACK 'y'" in error.message


def test_operator_on_constants_only():
    network = conv_chain(3, 3)
    for name in "ab":
        network.constant(name, np.zeros((1, 8, 8, 3)), "int8", scale=0.05)
    network.add("a", "b", "sum")
    network.add("sum", "t1", "y")
    error = refusal(network, ["t0"], ["y"])
    assert error.code == "unsupported-op"
    assert "only constant inputs" in error.message


def test_constant_output():
    network = conv_chain(3, 3)
    network.constant("c", np.zeros((1, 2, 3)), "int8", scale=0.05)
    network.transpose("c", "y", (0, 2, 1), scale=0.05, zero=0)
    error = refusal(network, ["t0"], ["t1", "y"])
    assert error.code == "unsupported-model"
    assert "'y'" in error.message


def test_network_that_only_converts():
    network = Network()
    network.map("in", (1, 4), dtype="float32")
    network.node("QUANTIZE", ["in"], "q", (1, 4))
    network.node("DEQUANTIZE", ["q"], "out", (1, 4), dtype="float32")
    assert refusal(network, ["in"], ["out"]).code == "unsupported-model"


def test_constraints_hold_after_folding():
    """A weight that only folding makes constant was not checked at import."""
    network = Network("float32")
    network.map("x", (1, 8, 8, 5))
    network.constant("w16", np.zeros((4, 3, 3, 3)), "float16")
    network.node("DEQUANTIZE", ["w16"], "w", (4, 3, 3, 3))
    network.conv("x", "y", 4)
    network.operators[-1].inputs[1] = "w"
    error = refusal(network, ["x"], ["y"])
    assert error.code == "unsupported-op"
    assert "Grouped" in error.why


def test_constants_that_unfold_without_end():
    """Each transpose of a constant is a copy of it; a file may ask for thousands."""
    network = conv_chain(3, 3)
    network.constant("c", np.zeros((1, 500, 400)), "int8", scale=0.05)
    for index in range(24):
        network.transpose("c", f"c{index}", (0, 2, 1), scale=0.05, zero=0)
    outputs = ["t1", *(f"c{index}" for index in range(24))]
    error = refusal(network, ["t0"], outputs)
    assert error.code == "bad-model"
    assert "excessive" in error.message


def chain_graph() -> Graph:
    return tflite.load(conv_chain(3, 3, 3, 3).build(["t0"], ["t3"]), name="m")


def test_rewire_follows_aliases_of_aliases():
    graph = chain_graph()
    rewired = rewire(graph, [graph.nodes[2]], {"t2": "t1", "t1": "t0"})
    assert rewired.nodes[0].inputs[0] == "t0"
    assert "t1" not in rewired.tensors
    assert rewire(graph, graph.nodes[:1], {"t3": "t2", "t2": "t1"}).outputs[0].tensor == "t1"


def test_unique_name():
    assert unique_name("a", {"b"}) == "a"
    assert unique_name("a", {"a", "a#2"}) == "a#3"


def test_passes_leave_their_argument_alone():
    graph = chain_graph()
    before = (graph.nodes, dict(graph.tensors))
    passes.run_all(graph)
    assert (graph.nodes, dict(graph.tensors)) == before
