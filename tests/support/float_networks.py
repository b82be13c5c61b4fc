"""Small float networks with an inverted residual, and what calibration would see of them."""

from __future__ import annotations

import dataclasses

import numpy as np

from quantmcu_kit import passes, tflite
from quantmcu_kit.calibrate.moments import gather_moments
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import Calibration, TensorStats
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.table import TABLE
from tests.support.networks import Network
from tests.support.tflite_builder import options

RELU, RELU6 = 1, 3  # TFLite's codes


def inverted_residual(activation: int = RELU6) -> Graph:
    """x -> stem, expand, depthwise, project + stem, mean, classes; every map but the input and the classes is listed in
    that order under its name, the sum as ``sum``."""
    net = Network("float32")
    net.map("x", (1, 10, 10, 3))
    net.conv("x", "stem", 6, stride=2)
    net.conv("stem", "expand", 16, kernel=1, activation=activation)
    net.depthwise("expand", "depthwise/sums")
    net.node({RELU: "RELU", RELU6: "RELU6"}[activation], ["depthwise/sums"], "depthwise", (1, 5, 5, 16))
    net.conv("depthwise", "project", 6, kernel=1)
    net.add("stem", "project", "sum")
    net.conv("sum", "last", 12, kernel=1, activation=activation)
    net.mean("last", "averages", (1, 2), keep_dims=True)
    net.conv("averages", "logits", 5, kernel=1)
    net.node(
        "RESHAPE", ["logits", net.constant("shape", [1, 5])], "row", (1, 5), options("ReshapeOptions", new_shape=[1, 5])
    )
    net.node("SOFTMAX", ["row"], "scores", (1, 5), options("SoftmaxOptions", beta=1.0))
    return _tamed(passes.run_all(tflite.load(net.build(["x"], ["scores"]), name="net")))


def _tamed(graph: Graph) -> Graph:
    """Weights that keep the size of values from layer to layer, as those of trained networks do."""
    tensors = dict(graph.tensors)
    for node in graph.nodes:
        if (axis := TABLE[node.op].weight_axis) is not None:
            weights, bias = (tensors[name] for name in node.inputs[1:3])
            taps = weights.elements // weights.shape[axis]
            tensors[weights.name] = dataclasses.replace(weights, data=weights.data * np.float32(2 / np.sqrt(taps)))
            tensors[bias.name] = dataclasses.replace(bias, data=bias.data * np.float32(0.3))
    return graph.replace(tensors=tensors)


def pictures(count: int, seed: int = 5) -> np.ndarray:
    """float32 [count, 10, 10, 3], smooth enough that neighbours tell of one another."""
    noise = np.random.default_rng(seed).normal(size=(count, 12, 12, 3))
    blurred = sum(np.roll(noise, (dy, dx), (1, 2)) for dy in range(3) for dx in range(3)) / 9
    return blurred[:, 1:11, 1:11].astype(np.float32)


def calibrated(graph: Graph, x: np.ndarray) -> Calibration:
    """Statistics straight from the float interpreter and numpy."""
    maps = Interpreter(graph, integer=False, keep_all=True).run({graph.inputs[0].tensor: x})
    stats = {name: _stats(values) for name, values in maps.items()}
    return Calibration(stats, gather_moments(graph, iter([x])), len(x))


def _stats(values: np.ndarray, bins: int = 2048) -> TensorStats:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    counts, _ = np.histogram(values, bins, (low, high or 1.0))
    return TensorStats(float(values.min()), float(values.max()), counts, low, high or 1.0)
