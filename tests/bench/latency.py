"""Cycles of every kernel on every emulated core, fitted. ``--write`` refreshes platformio_lib/cycles.toml.

python -m tests.bench.latency [--write]

A quarter of the synthetic layers, and every real network, take no part in the fit: the errors in the table are theirs.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from quantmcu_kit import emit, memory, pipeline
from quantmcu_kit.boards.catalog import Board, find
from quantmcu_kit.emit.latency import NETWORK, network_work
from quantmcu_kit.emit.work import Work, work_of
from quantmcu_kit.emulate.cores import CORES
from quantmcu_kit.emulate.library import OPTIMIZE, BoardLibrary
from quantmcu_kit.emulate.toolchain import find_toolchain
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ops.interpret import prepare_node
from quantmcu_kit.ops.table import TABLE as OPS
from tests.bench import latency_grid
from tests.bench.models import shared
from tests.bench.results import ROOT, Results

TABLE = ROOT / "platformio_lib" / "cycles.toml"
HELD_OUT = 4  # every fourth sample
SMALL_LAYER = 0.01  # of a network's cycles: below, a layer's own error is not worth stating
DIGITS = ROOT / "examples" / "digits" / "digits.tflite"
NETWORKS = (
    "vww_96_int8",
    "kws_int8",
    "ad01_int8",
    "resnet8_int8",
    "hello_world_int8",
    "micro_speech_int8",
)
HEADER = """\
# Cycles of what kernels do (quantmcu_kit/emit/work.py) on each core, for the latency that `qmkit build` and
# `qmkit inspect` show. Fitted to the cycle model of the emulated boards, flash as fast as the core.
# Written by `make bench-latency`, held against the emulator by tests/budget/test_latency.py.
# Errors are relative to the emulator, largest of all: "network" of real networks, "layer" of their layers that take
# at least 1 % of the network and of synthetic layers that took no part in the fit.
"""


@dataclass(frozen=True)
class Sample:
    """Measured cycles of one layer, or of the code between the layers, and what they were spent on."""

    kernel: str
    work: Work
    cycles: int


Cycles = Mapping[str, Mapping[str, float]]  # by kernel and by what is done


def board_of(core: str) -> Board:
    """A board that has the core, and memory for everything."""
    return replace(find("nano33ble"), cpu=core, ram_bytes=8 << 20, flash_bytes=16 << 20)


def measure(graph: Graph, board: Board) -> list[Sample]:
    """One run on noise: a sample per layer that computes something, and at last one of the code between them."""
    files = emit.render(graph, memory.plan(graph), name=graph.name, board=board.id)
    manifest = manifests.from_json(files[manifests.PATH])
    rng = np.random.default_rng(0)
    inputs = [rng.integers(-128, 128, graph.tensors[port.tensor].shape).astype(np.int8) for port in graph.inputs]
    with tempfile.TemporaryDirectory() as folder:
        path = emit.write(files, Path(folder, "library"))
        with BoardLibrary(path, manifest, board) as library:
            run = library.run(*inputs)
    samples, kernel_calls = [], 0
    for node, layer in zip(graph.nodes, run.layers, strict=True):
        calls = OPS[node.op].emit(prepare_node(graph, node))
        work: Counter[str] = Counter()
        for call in calls:
            work.update(work_of(call))
        kernel_calls += len(calls)
        if calls:
            samples.append(Sample(calls[0].kernel, work, layer.cycles))
    between = run.cycles[0] - sum(sample.cycles for sample in samples)
    return [*samples, Sample(NETWORK, network_work(graph, kernel_calls), between)]


def fit(samples: Sequence[Sample]) -> dict[str, float]:
    """Cycles of each count, not negative, with the least squared relative error."""
    names = sorted({name for sample in samples for name in sample.work})
    counts = np.array([[sample.work.get(name, 0) for name in names] for sample in samples], np.float64)
    relative = counts / np.array([[max(sample.cycles, 1)] for sample in samples])
    scale = relative.max(axis=0)
    scale[scale == 0] = 1
    solution, _ = nnls(relative / scale, np.ones(len(samples)))
    return {name: float(f"{value:.5g}") for name, value in zip(names, solution / scale, strict=True)}


def estimate(sample: Sample, cycles: Cycles) -> float:
    """Cycles of a sample by the fitted table."""
    return sum(cycles[sample.kernel][name] * count for name, count in sample.work.items())


def error(sample: Sample, cycles: Cycles) -> float:
    """Relative difference between estimate and measurement."""
    return abs(estimate(sample, cycles) - sample.cycles) / sample.cycles


def networks() -> Iterable[Graph]:
    """The example network and real ones."""
    yield pipeline.sized_graph(pipeline.load_model(DIGITS))
    for name in NETWORKS:
        yield pipeline.load_model(shared() / "models" / f"{name}.tflite").graph


class Bench:
    """The table in the making: one core after the other."""

    def __init__(self) -> None:
        columns = [("core", 14), ("what", 30), ("samples", 8), ("median %", 9), ("worst %", 9)]
        self._results = Results("latency", columns)
        self._grids, self._chains = latency_grid.graphs(), latency_grid.chains()
        self._networks = tuple(networks())

    def core(self, core: str) -> str:
        """The table's sections of one core."""
        board = board_of(core)
        grids = {graph.name: measure(graph, board)[:-1] for graph in self._grids}
        cycles, sections, worst = {}, [], []
        for kernel, samples in grids.items():
            known = [sample for index, sample in enumerate(samples, 1) if index % HELD_OUT]
            cycles[kernel] = fit(known)
            errors = [error(sample, cycles) for sample in samples[HELD_OUT - 1 :: HELD_OUT]]
            worst += errors
            sections.append(_section(f"{core}.{kernel}", cycles[kernel], self._row(core, kernel, errors)))
        cycles[NETWORK] = fit([measure(graph, board)[-1] for graph in self._chains])
        sections.append(_section(f"{core}.{NETWORK}", cycles[NETWORK]))
        of_networks, of_layers = self._check(core, board, cycles)
        stated = {"network": _rounded_up(of_networks), "layer": _rounded_up(max(*worst, of_layers))}
        return "\n".join([_section(f"{core}.error", stated), *sections])

    def _check(self, core: str, board: Board, cycles: Cycles) -> tuple[float, float]:
        """Largest errors of real networks, and of their layers."""
        whole, layers = [], []
        for graph in self._networks:
            samples = measure(graph, board)
            total = sum(sample.cycles for sample in samples)
            whole.append(abs(sum(estimate(sample, cycles) for sample in samples) - total) / total)
            of_layers = [error(sample, cycles) for sample in samples[:-1] if sample.cycles >= SMALL_LAYER * total]
            self._row(core, f"layers of {graph.name}", of_layers)
            self._row(core, graph.name, whole[-1:])
            layers += of_layers
        return max(whole), max(layers)

    def _row(self, core: str, what: str, errors: Sequence[float]) -> str:
        median, worst = 100 * float(np.median(errors)), 100 * max(errors)
        self._results.add(core=core, what=what, samples=len(errors), **{"median %": median, "worst %": worst})
        return f"held out: median {median:.2f} %, worst {worst:.2f} % of {len(errors)}"


def _section(name: str, values: Mapping[str, float], note: str = "") -> str:
    title = f"[cores.{name}]  # {note}" if note else f"[cores.{name}]"
    return "\n".join([title, *(f"{key} = {value:g}" for key, value in values.items()), ""])


def _rounded_up(value: float) -> float:
    return float(np.ceil(value * 1000) / 1000)


def main() -> None:
    """Measure and fit; write the table when asked to."""
    toolchain = find_toolchain()
    if toolchain.kind != "gcc":
        raise SystemExit("this bench needs arm-none-eabi-gcc: the table is for it")
    bench = Bench()
    sections = [bench.core(core.name) for core in CORES]
    if "--write" in sys.argv:
        about = [HEADER, f'compiler = "{toolchain.name}"', f'level = "{OPTIMIZE}"', ""]
        TABLE.write_text("\n".join([*about, *sections]), "utf-8")


if __name__ == "__main__":
    main()
