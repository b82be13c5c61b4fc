"""Kernels on maps and weights below 8 bits on an emulated Cortex-M4, side by side in one network with int8 ports."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from quantmcu_kit import emit, memory
from quantmcu_kit.boards.catalog import find
from quantmcu_kit.emit.latency import estimate_latency
from quantmcu_kit.emulate.library import BoardLibrary, BoardRun
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.graph import Graph, Node, Port, Tensor
from quantmcu_kit.ir.types import DType, Quant
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.spec import NoAttrs
from tests.ops import cases_packed_elementwise, cases_packed_weighted
from tests.ops.packed_case import PackedCase, random_for
from tests.support.libraries import tool

PICTURES = 3
BOARD = dataclasses.replace(find("nano33ble"), ram_bytes=4 << 20, flash_bytes=8 << 20)
WEIGHTED_ERROR = 0.06
EVERY = {cases_packed_weighted: 7, cases_packed_elementwise: 29}  # case of each list


def port_of(tensor: Tensor) -> Port:
    return Port(tensor.name, tensor.name, tensor.dtype, tensor.shape, tensor.quant)


def with_int8_ports(case: PackedCase, label: str) -> tuple[list[Tensor], list[Node], list[Port], list[Port]]:
    """Parts of a network: QUANTIZE to each packed input, the case, QUANTIZE from a packed output."""
    graph = case.graph
    tensors = [dataclasses.replace(tensor, name=label + name) for name, tensor in graph.tensors.items()]
    (node,) = graph.nodes
    named = [None if name is None else label + name for name in node.inputs]
    nodes = [dataclasses.replace(node, name=label + node.name, inputs=tuple(named), outputs=(label + node.output,))]
    ends: list[list[Port]] = [[], []]
    for is_output, ports in enumerate((graph.inputs, graph.outputs)):
        for port in ports:
            inner = dataclasses.replace(graph.tensors[port.tensor], name=label + port.tensor)
            outer = inner
            if inner.dtype.is_packed:
                quant = Quant.per_tensor(float(inner.quant.s) * 2.0**inner.dtype.bits / 256, -5)
                outer = Tensor(f"{inner.name}_8", inner.shape, DType.I8, quant)
                tensors.append(outer)
                pair = (inner, outer) if is_output else (outer, inner)
                bridge = Node("QUANTIZE", f"{inner.name}_bridge", NoAttrs(), (pair[0].name,), (pair[1].name,))
                nodes.insert(len(nodes) if is_output else 0, bridge)
            ends[is_output].append(port_of(outer))
    return tensors, nodes, *ends


def side_by_side(cases: list[PackedCase]) -> Graph:
    parts = [with_int8_ports(case, f"n{index}_") for index, case in enumerate(cases)]
    tensors, nodes, inputs, outputs = ([item for part in parts for item in part[i]] for i in range(4))
    return Graph("cases", {t.name: t for t in tensors}, tuple(nodes), tuple(inputs), tuple(outputs), sha256="00ff" * 16)


def inputs_of(graph: Graph) -> list[np.ndarray]:
    rng = random_for("board")
    return [rng.integers(-128, 128, (PICTURES, *port.shape[1:])).astype(np.int8) for port in graph.inputs]


def run_on_board(graph: Graph, inputs: list[np.ndarray], folder: Path) -> BoardRun:
    tool("arm-none-eabi-gcc")
    files = emit.render(graph, memory.plan(graph), name="cases", board=BOARD.id)
    path = emit.write(files, folder / "library")
    with BoardLibrary(path, manifests.from_json(files[manifests.PATH]), BOARD) as library:
        return library.run(*inputs)


@pytest.mark.parametrize("module", EVERY, ids=lambda module: module.__name__.rpartition("_")[2])
def test_kernels_on_a_cortex_m4(module, tmp_path):
    cases = [case for case in module.CASES if case.graph.outputs[0].shape[0] == 1][:: EVERY[module]]
    graph = side_by_side(cases)
    inputs = inputs_of(graph)
    named = {port.tensor: values for port, values in zip(graph.inputs, inputs, strict=True)}
    expected = Interpreter(graph, integer=True).run(named)
    outputs = run_on_board(graph, inputs, tmp_path).outputs
    for case, port, actual in zip(cases, graph.outputs, outputs, strict=True):
        np.testing.assert_array_equal(actual, expected[port.tensor], err_msg=str(case))


def test_latency_of_packed_layers_is_known(tmp_path):
    """Weighted layers: their estimate begins from the table of 8 bits (emit/work.py)."""
    cases = cases_packed_weighted.LARGE
    graph = side_by_side(cases)
    layers = run_on_board(graph, inputs_of(graph), tmp_path).layers
    estimated = estimate_latency(graph, BOARD).layers
    weighted = [index for index, node in enumerate(graph.nodes) if node.op != "QUANTIZE"]
    for case, index in zip(cases, weighted, strict=True):
        assert estimated[index] == pytest.approx(layers[index].cycles, rel=WEIGHTED_ERROR), case
