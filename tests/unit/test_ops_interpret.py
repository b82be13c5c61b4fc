"""Running graphs in Python: batches, and what is kept."""

from __future__ import annotations

import numpy as np

from quantmcu_kit.ir.types import Activation
from quantmcu_kit.ops import reshape, squeeze
from quantmcu_kit.ops.binary import Attrs
from quantmcu_kit.ops.interpret import Interpreter
from tests.support.small_graphs import GraphBuilder


def residual_network():
    """conv -> conv, added to the first, squeezed and flattened."""
    builder = GraphBuilder()
    x = builder.feature_map("picture", (1, 4, 4, 3))
    first = builder.conv(x, "first", 3)
    second = builder.conv(first, "second", 3)
    total = builder.node("ADD", "total", (1, 4, 4, 3), Attrs(Activation.NONE), first, second)
    flat = builder.node("RESHAPE", "flat", (1, 1, 48), reshape.Attrs((1, 1, 48)), total, like=total)
    vector = builder.node("SQUEEZE", "vector", (1, 48), squeeze.Attrs((1,)), flat, like=flat)
    return builder.build((x,), (vector, first))


def test_a_batch_is_its_pictures_one_by_one():
    network = Interpreter(residual_network(), integer=True)
    pictures = np.random.default_rng(0).integers(-128, 128, (5, 4, 4, 3)).astype(np.int8)
    batch = network.run({"picture": pictures})
    assert set(batch) == {"vector", "first"}
    assert batch["vector"].shape == (5, 48)
    for index, picture in enumerate(pictures):
        single = network.run({"picture": picture[None]})
        for name, value in single.items():
            np.testing.assert_array_equal(batch[name][index : index + 1], value)


def test_keep_all_returns_every_feature_map():
    graph = residual_network()
    pictures = np.zeros((2, 4, 4, 3), np.int8)
    kept = Interpreter(graph, integer=True, keep_all=True).run({"picture": pictures})
    assert {name: value.shape for name, value in kept.items()} == {
        tensor.name: (2, *tensor.shape[1:]) for tensor in graph.feature_maps()
    }
    assert all(value.dtype == np.int8 for value in kept.values())


def test_sums_follow_the_real_values():
    """The output is the sum of the two maps it is computed from, to half a step."""
    graph = residual_network()
    pictures = np.random.default_rng(1).integers(-128, 128, (3, 4, 4, 3)).astype(np.int8)
    integers = Interpreter(graph, integer=True, keep_all=True).run({"picture": pictures})
    vector = graph.tensors["vector"].quant.dequantize(integers["vector"])
    total = sum(graph.tensors[name].quant.dequantize(integers[name]) for name in ("first", "second"))
    step = float(graph.tensors["total"].quant.s)
    representable = np.clip(total.reshape(3, 48), step * (-128 + 3), step * (127 + 3))
    assert np.abs(vector - representable).max() <= 0.51 * step
