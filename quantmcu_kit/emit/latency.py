"""How long a network takes on a board, estimated on the PC without a cross-compiler and without running it.

Each kernel's loops are counted from the geometry of its calls (``work.py``); what each part of them costs was fitted to
cycles measured on emulated boards (``cycles.toml`` beside the runtime). So the source is that of `qmkit bench`: the
cycle model of the core, with flash as fast as the core. How far estimates are from it is part of the table.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from quantmcu_kit.boards.catalog import Board
from quantmcu_kit.emit.runtime_files import runtime_root
from quantmcu_kit.emit.work import Work, work_of
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ops.interpret import prepare_node
from quantmcu_kit.ops.spec import KernelCall
from quantmcu_kit.ops.table import TABLE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NETWORK = "network"  # the entry of the code between the layers


@dataclass(frozen=True)
class Latency:
    """Estimated cycles of one run.

    Attributes:
        cycles: from the call of the library's run function to its return.
        layers: cycles of each node of the graph; 0 for a view.
        clock_mhz: of the board.
        error: largest relative difference from the emulated board that was measured on a whole network.
        layer_error: the same of a single layer.
        compiler: what the measured code was compiled with, and at which level.
    """

    cycles: int
    layers: tuple[int, ...]
    clock_mhz: int
    error: float
    layer_error: float
    compiler: str

    @property
    def milliseconds(self) -> float:
        """Of one run."""
        return self.milliseconds_of(self.cycles)

    def milliseconds_of(self, cycles: int) -> float:
        """Time that ``cycles`` take on the board."""
        return cycles / (self.clock_mhz * 1000)


@lru_cache
def _table() -> dict[str, Any]:
    return tomllib.loads((runtime_root() / "cycles.toml").read_text("utf-8"))


def has_cycles(core: str) -> bool:
    """Whether the table knows a core, such as ``cortex-m4f``."""
    return core in _table()["cores"]


def cycles_of(kernel: str, work: Work, core: str) -> float:
    """Cycles of ``work`` in ``kernel``, or in :data:`NETWORK`, on a core of the table."""
    cycles = _table()["cores"][core][kernel]
    return sum(cycles[name] * count for name, count in work.items())


def call_cycles(call: KernelCall, core: str) -> float:
    """Cycles of one kernel call on a core of the table."""
    return cycles_of(call.kernel, work_of(call), core)


def network_work(graph: Graph, kernel_calls: int) -> Work:
    """What the run function does beside its kernels: checks its arguments, calls, copies outputs out of the arena."""
    output_bytes = sum(graph.tensors[port.tensor].elements for port in graph.outputs)
    ports = len(graph.inputs) + len(graph.outputs)
    return {"calls": 1, "ports": ports, "kernel_calls": kernel_calls, "output_bytes": output_bytes}


def estimate_latency(graph: Graph, board: Board) -> Latency | None:
    """The latency of an integer graph; None for a board whose core has no cycle model."""
    if not has_cycles(board.cpu):
        return None
    calls = [TABLE[node.op].emit(prepare_node(graph, node)) for node in graph.nodes]
    layers = [sum(call_cycles(call, board.cpu) for call in of_node) for of_node in calls]
    between = cycles_of(NETWORK, network_work(graph, sum(map(len, calls))), board.cpu)
    table = _table()
    errors = table["cores"][board.cpu]["error"]
    return Latency(
        cycles=round(sum(layers) + between),
        layers=tuple(round(cycles) for cycles in layers),
        clock_mhz=board.clock_mhz,
        error=errors["network"],
        layer_error=errors["layer"],
        compiler=f"{table['compiler']} {table['level']}",
    )
