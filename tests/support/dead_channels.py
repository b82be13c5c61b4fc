"""The check that a graph without its dead channels computes what the whole one does."""

from __future__ import annotations

import numpy as np

from quantmcu_kit import passes
from quantmcu_kit.ir.check import check
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.table import TABLE


def assert_cut_is_exact(graph: Graph) -> Graph:
    """The graph without dead channels, after its outputs were compared with the whole one's."""
    smaller = check(passes.remove_dead_channels(graph))
    for node in smaller.nodes:
        inputs = smaller.input_tensors(node)
        TABLE[node.op].check_constraints(node.attrs, inputs, node.name)
        assert tuple(TABLE[node.op].infer(node.attrs, *inputs)) == smaller.tensors[node.output].shape
    rng = np.random.default_rng(0)
    (port,) = graph.inputs
    shape = graph.tensors[port.tensor].shape[1:]
    batch = np.stack([*rng.integers(-128, 128, (3, *shape)), np.full(shape, -128), np.full(shape, 127)]).astype(np.int8)
    outputs = (Interpreter(each, integer=True).run({port.tensor: batch}) for each in (graph, smaller))
    for (name, expected), (other, actual) in zip(*(each.items() for each in outputs), strict=True):
        assert name == other
        np.testing.assert_array_equal(actual, expected)
    return smaller
