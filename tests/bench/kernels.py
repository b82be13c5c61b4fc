"""Cycles per multiply-accumulate of every kernel and pair of widths on a Cortex-M4, everything included.

python -m tests.bench.kernels [part of a case's name ...]

Bytes are held against the integer reference on the way. "most" is what is promised; how the figures of CMSIS-NN were
measured is told in kernel_cases.py. Memory has no waits.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np

from quantmcu_kit import emit, memory
from quantmcu_kit.boards.catalog import Board, find
from quantmcu_kit.emulate.library import BoardLibrary, BoardRun
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ops.interpret import Interpreter, prepare_node
from quantmcu_kit.ops.variants import VARIANTS
from tests.bench.kernel_cases import CASES, Case, Placed, network, variants_of
from tests.bench.results import Results

COLUMNS = [
    ("layer", 26),
    ("widths", 7),
    ("kernel", 18),
    ("clamped", 8),
    ("signed", 8),
    ("most", 6),
    ("CMSIS-NN s8", 11),
    ("ok", 4),
]


def roomy_board(core: str = "cortex-m4f") -> Board:
    """A board with the core, and memory for everything."""
    return dataclasses.replace(find("nano33ble"), cpu=core, ram_bytes=8 << 20, flash_bytes=16 << 20)


def run_on_board(graph: Graph, board: Board) -> BoardRun:
    """A network on noise; its bytes must be the reference's."""
    files = emit.render(graph, memory.plan(graph), name=graph.name, board=board.id)
    rng = np.random.default_rng(0)
    inputs = [rng.integers(-128, 128, graph.tensors[port.tensor].shape).astype(np.int8) for port in graph.inputs]
    with tempfile.TemporaryDirectory() as folder:
        path = emit.write(files, Path(folder, "library"))
        with BoardLibrary(path, manifests.from_json(files[manifests.PATH]), board) as library:
            run = library.run(*inputs)
    named = {port.tensor: values for port, values in zip(graph.inputs, inputs, strict=True)}
    expected = Interpreter(graph, integer=True).run(named)
    for port, actual in zip(graph.outputs, run.outputs, strict=True):
        if not np.array_equal(actual, expected[port.tensor]):
            raise SystemExit(f"{port.tensor} of {graph.name} differs from the reference")
    return run


def with_kernel(graph: Graph, kernel: str) -> tuple[Graph, frozenset[int]]:
    """The network with one kernel wherever it can run, and the nodes that run by it."""
    if not kernel:
        return graph, frozenset(range(len(graph.nodes)))
    variant = VARIANTS[kernel]
    able = frozenset(
        index
        for index, node in enumerate(graph.nodes)
        if node.op in variant.ops and variant.supports(prepare_node(graph, node))
    )
    nodes = [
        dataclasses.replace(node, kernel=kernel) if index in able else node for index, node in enumerate(graph.nodes)
    ]
    return graph.replace(nodes=nodes), able


class Bench:
    """Cycles of a case at all widths, by kernel."""

    def __init__(self, case: Case, board: Board) -> None:
        graph, self._placed = network((case,))
        self.cycles: dict[tuple[str, int], int] = {}  # by kernel and node
        for kernel in variants_of(case):
            chosen, able = with_kernel(graph, kernel)
            if not able:
                continue
            run = run_on_board(chosen, board)
            self.cycles |= {(kernel, index): run.layers[index].cycles for index in able}

    def rows(self) -> list[dict[str, object]]:
        """One row per pair of widths and kernel."""
        found = []
        pairs = zip(self._placed[::2], self._placed[1::2], strict=True)
        for clamped, signed in pairs:
            for kernel in variants_of(clamped.case):
                figures = [self._per_mac(kernel, placed) for placed in (clamped, signed)]
                if any(figure is not None for figure in figures):
                    found.append(self._row(clamped, kernel, *figures))
        return found

    def _per_mac(self, kernel: str, placed: Placed) -> float | None:
        cycles = self.cycles.get((kernel, placed.node))
        return None if cycles is None else cycles / placed.case.macs

    def _row(self, placed: Placed, kernel: str, clamped: float | None, signed: float | None) -> dict[str, object]:
        case, (weights, maps) = placed.case, placed.widths
        most = case.most.get(placed.widths)
        limit = min(most or case.cmsis_nn, case.cmsis_nn)
        figure = signed if clamped is None else clamped
        return {
            "layer": case.name,
            "widths": f"W{weights}A{maps}",
            "kernel": kernel or "portable",
            "clamped": "-" if clamped is None else f"{clamped:.3f}",
            "signed": "-" if signed is None else f"{signed:.3f}",
            "most": "" if most is None else f"{most:.2f}",
            "CMSIS-NN s8": f"{case.cmsis_nn:.2f}",
            "ok": "" if not kernel else "yes" if figure <= limit else "no",
        }


def main() -> None:
    """Every case, or those whose names contain an argument."""
    wanted = [case for case in CASES if not sys.argv[1:] or any(part in case.name for part in sys.argv[1:])]
    results = Results("kernels", COLUMNS)
    for case in wanted:
        for row in Bench(case, roomy_board()).rows():
            results.add(**row)


if __name__ == "__main__":
    main()
