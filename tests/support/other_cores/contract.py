"""Every integer case of the operators' contract, and networks of 8, 4 and 2 bits, side by side: all kernels at once."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import numpy as np

from quantmcu_kit import emit
from quantmcu_kit.ir.graph import Graph, Node, Port
from quantmcu_kit.ir.plans import MemoryPlan, StageMemory
from quantmcu_kit.memory.allocate import aligned
from quantmcu_kit.memory.liveness import find_lifetimes
from tests.ops.cases import as_int8
from tests.ops.test_op_contract import INTEGER, load
from tests.support.patched_cases import collected

_PACKED = 60


def contract_library(folder: Path) -> Path:
    """The network as a library called ``contract``; case ``i`` has the names ``c<i>/...``."""
    graph = _side_by_side([*(load(case) for case in INTEGER), *_packed_networks()])
    files = emit.render(graph, _spread_out(graph), name="contract", board="nano33ble")
    return emit.write(files, folder / "contract")


def contract_inputs(count: int) -> list[np.ndarray]:
    """int8 [count, ...] per input port; the first is all-low, the second all-high, the others are random."""
    rng = np.random.default_rng(0)
    shapes = [graph.tensors[port.tensor].shape for graph in _packed_networks() for port in graph.inputs]
    noise = [rng.integers(-128, 128, (count, *shape[1:])).astype(np.int8) for shape in shapes]
    return [as_int8(picture) for case in INTEGER for picture in case.pictures(count)] + noise


@lru_cache
def _packed_networks() -> tuple[Graph, ...]:
    """Random networks whose maps and weights have random widths; one of them moves values in a RESHAPE."""
    return tuple(case.graph for case in collected(_PACKED, packed=True))


def _side_by_side(graphs: list[Graph]) -> Graph:
    tensors, nodes, inputs, outputs = {}, [], [], []
    for index, graph in enumerate(graphs):
        prefix = f"c{index}/"
        tensors |= {prefix + n: dataclasses.replace(tensor, name=prefix + n) for n, tensor in graph.tensors.items()}
        nodes += [_renamed_node(node, prefix) for node in graph.nodes]
        inputs += [_renamed_port(port, prefix) for port in graph.inputs]
        outputs += [_renamed_port(port, prefix) for port in graph.outputs]
    return Graph("contract", tensors, tuple(nodes), tuple(inputs), tuple(outputs), sha256="00" * 32)


def _renamed_node(node: Node, prefix: str) -> Node:
    inputs = tuple(name and prefix + name for name in node.inputs)
    outputs = tuple(prefix + name for name in node.outputs)
    return dataclasses.replace(node, name=prefix + node.name, inputs=inputs, outputs=outputs)


def _renamed_port(port: Port, prefix: str) -> Port:
    return dataclasses.replace(port, name=prefix + port.name, tensor=prefix + port.tensor)


def _spread_out(graph: Graph) -> MemoryPlan:
    """Every block at a place of its own; the search for a small arena would take seconds for so many."""
    liveness = find_lifetimes(graph)
    ends = [0, *accumulate(aligned(block.size) for block in liveness.blocks)]
    stage = StageMemory(
        bytes=ends[-1],
        lower_bound_bytes=ends[-1],
        offsets={name: ends[index] for name, index in liveness.maps.items()},
        scratch={name: ends[index] for name, index in liveness.scratch.items()},
        kept={},
        sums=None,
        lifetimes=liveness.blocks,
    )
    return MemoryPlan(arena_bytes=ends[-1], lower_bound_bytes=ends[-1], stages=(stage,))
