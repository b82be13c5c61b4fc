"""Sums on an emulated Cortex-M4: every pair of values, and every mixture of widths, against the integer reference."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.types import Activation, DType, Quant
from quantmcu_kit.ops.binary import Attrs
from quantmcu_kit.ops.interpret import Interpreter, prepare_node
from quantmcu_kit.ops.variants import binary_table
from tests.e2e.test_packed_kernels_on_a_board import port_of, run_on_board, side_by_side
from tests.ops.packed_case import case, feature_map

MOST_CYCLES = 16.5  # per value
LEFT_TO_THE_REFERENCE = ("far-zero-point",)  # a shift too far

# Scale and zero-point of both operands and the output.
QUANTS = {
    "other-smaller": ((0.05, 3), (0.021, -7), (0.06, -2)),
    "first-smaller": ((0.0171, -128), (0.05, 127), (0.04, 10)),
    "other-tiny": ((0.5, 0), (0.0004, 5), (0.4, 0)),
    "saturating": ((0.3, -128), (0.26, -128), (0.02, 127)),
    "other-half": ((0.25, 1), (0.125, 2), (0.3, 3)),
    "equal": ((0.05, 3), (0.05, -3), (0.07, 0)),
    "equal-ends": ((0.05, -128), (0.05, 127), (0.002, -128)),
    "small-output": ((0.01, 3), (0.004, -3), (0.9, 0)),
    "smallest-output": ((0.01, 3), (0.004, -3), (5.0, 1)),
    "far-zero-point": ((0.01, 3), (0.004, -3), (0.9, 100)),
    "other-nothing": ((0.5, 0), (1e-12, 5), (0.4, 0)),
    "first-nothing": ((3e-10, -128), (0.5, 9), (0.7, 127)),
}
# Most cycles of a sum by its widths: both operands packed and one output or two in a nibble of each, or others; else by
# how many maps are unpacked or packed.
MOST_TABLED = {(4, 4, 4): 7.5, (2, 2, 2): 4.0, (2, 2, 4): 9.0}
MOST_OTHER_TABLED = 20.0
MOST_PACKED = (16.5, 28.0, 32.0)


def sum_of(label: str, shape: tuple[int, ...], quants, op: str = "ADD", activation: Activation = Activation.NONE):
    names = (f"{label}_a", f"{label}_b", f"{label}_out")
    maps = [Tensor(name, shape, DType.I8, Quant.per_tensor(*quant)) for name, quant in zip(names, quants, strict=True)]
    return maps, Node(op, label, Attrs(activation), names[:2], names[2:])


def graph_of(parts) -> Graph:
    maps = [tensor for tensors, _ in parts for tensor in tensors]
    inputs = [port_of(tensor) for tensors, _ in parts for tensor in tensors[:2]]
    outputs = [port_of(tensors[2]) for tensors, _ in parts]
    nodes = tuple(node for _, node in parts)
    return Graph("sums", {t.name: t for t in maps}, nodes, tuple(inputs), tuple(outputs), sha256="00ff" * 16)


@pytest.mark.parametrize("name", QUANTS)
def test_every_pair_of_values(name, tmp_path):
    graph = graph_of([sum_of(name, (1, 256, 256, 1), QUANTS[name])])
    values = np.arange(-128, 128).astype(np.int8)
    inputs = [np.ascontiguousarray(side).reshape(1, 256, 256, 1) for side in np.meshgrid(values, values)]
    run = run_on_board(graph, inputs, tmp_path)
    (expected,) = (
        Interpreter(graph, integer=True)
        .run(dict(zip((port.tensor for port in graph.inputs), inputs, strict=True)))
        .values()
    )
    np.testing.assert_array_equal(run.outputs[0], expected)
    if name not in LEFT_TO_THE_REFERENCE:
        assert run.layers[0].cycles < MOST_CYCLES * 65536


def widths_case(widths: tuple[int, int, int], index: int):
    """A sum of maps of so many bits, whose scales, zero-points and activation the index decides."""
    spans = ((6.0, 2.5, 7.0), (3.0, 6.0, 4.0), (5.0, 5.0, 6.0))[index % 3]
    shape = (1, 16, 16, (16, 17, 5)[index // 27])
    maps = []
    for place, (label, bits, span) in enumerate(zip("aby", widths, spans, strict=True)):
        low, levels = (-128 if bits == 8 else 0), 2**bits - 1
        zero_point = low + (0, levels // 3, levels)[(index + place) % 3]
        maps.append(feature_map(label, shape, bits, span / levels, zero_point))
    activation = (Activation.NONE, Activation.RELU, Activation.NONE, Activation.RELU6)[index % 4]
    made = case(f"{widths}", "ADD", Attrs(activation), tuple(maps[:2]), maps[2])
    (node,) = made.graph.nodes
    kernel = "binary_table" if binary_table.supports(prepare_node(made.graph, node)) else ""
    return dataclasses.replace(made, graph=made.graph.replace(nodes=[dataclasses.replace(node, kernel=kernel)]))


def most_cycles(widths: tuple[int, int, int]) -> float:
    if max(widths[:2]) < 8:
        return MOST_TABLED.get(widths, MOST_OTHER_TABLED)
    return MOST_PACKED[sum(bits < 8 for bits in widths)] + 3  # a clamp


def test_every_mixture_of_widths(tmp_path):
    """Pixels that are whole bytes, and others."""
    mixtures = list(itertools.product((8, 4, 2), repeat=3))
    graph = side_by_side([widths_case(each, index) for index, each in enumerate(mixtures * 3)])
    rng = np.random.default_rng(5)
    inputs = [rng.integers(-128, 128, port.shape).astype(np.int8) for port in graph.inputs]
    run = run_on_board(graph, inputs, tmp_path)
    expected = Interpreter(graph, integer=True).run(dict(zip((p.tensor for p in graph.inputs), inputs, strict=True)))
    for port, actual in zip(graph.outputs, run.outputs, strict=True):
        np.testing.assert_array_equal(actual, expected[port.tensor], err_msg=port.tensor)
    sums = [layer for node, layer in zip(graph.nodes, run.layers, strict=True) if node.op == "ADD"]
    for widths, layer in zip(mixtures, sums, strict=False):  # whole bytes
        assert layer.cycles < most_cycles(widths) * 16**3, widths


def test_other_forms(tmp_path):
    """Sizes that are no whole words, differences, limits."""
    quants = QUANTS["other-smaller"]
    parts = [sum_of(f"n{n}", (1, 1, 1, n), quants) for n in (1, 3, 4, 5, 7, 8, 31)]
    parts.append(sum_of("relu", (1, 3, 3, 7), quants, activation=Activation.RELU))
    parts.append(sum_of("relu6", (1, 3, 3, 8), ((0.05, -100), (0.04, 5), (0.1, -70)), activation=Activation.RELU6))
    parts.append(sum_of("difference", (1, 3, 3, 8), quants, "SUB"))
    graph = graph_of(parts)
    rng = np.random.default_rng(3)
    inputs = [rng.integers(-128, 128, port.shape).astype(np.int8) for port in graph.inputs]
    run = run_on_board(graph, inputs, tmp_path)
    expected = Interpreter(graph, integer=True).run(dict(zip((p.tensor for p in graph.inputs), inputs, strict=True)))
    for port, actual in zip(graph.outputs, run.outputs, strict=True):
        np.testing.assert_array_equal(actual, expected[port.tensor], err_msg=port.tensor)
