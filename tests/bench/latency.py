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
from quantmcu_kit.emit.latency import NETWORK, SCAN, SEGMENT, network_work, node_work
from quantmcu_kit.emit.layers import node_calls
from quantmcu_kit.emit.segment_work import moves_work, scan_work, segment_work
from quantmcu_kit.emit.work import Work
from quantmcu_kit.emulate.cores import CORES
from quantmcu_kit.emulate.library import OPTIMIZE, BoardLibrary
from quantmcu_kit.emulate.toolchain import find_toolchain
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.branches import Branches
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.schedule import Grid, HaloMode, Schedule, Stage
from quantmcu_kit.patch.lay_out import lay_out_segment
from quantmcu_kit.patch.segment import segment
from tests.bench import latency_grid, latency_patches
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
PATCHED = (  # the first network: end of its first stage, grid, halo, whether the input is pulled
    (9, Grid(12, 1), HaloMode.REUSE, False),
    (9, Grid(6, 6), HaloMode.REUSE, True),
    (9, Grid(3, 3), HaloMode.RECOMPUTE, False),
    (7, Grid(8, 4), HaloMode.REUSE_ROWS, True),
)
MEMCPY = ("copied_blocks", "copied_bytes", "copied_words", "long_copies", "shifted_blocks", "shifted_words")
HEADER = """\
# Cycles of what kernels do (quantmcu_kit/emit/work.py) on each core, for the latency that `qmkit build` and
# `qmkit inspect` show. Fitted to the cycle model of the emulated boards, flash as fast as the core.
# Written by `make bench-latency`, held against the emulator by tests/budget/test_latency.py.
# Errors are relative to the emulator, largest of all: "network" of real networks, whole and in patches, "layer" of
# their layers that take at least 1 % of the network and of synthetic layers that took no part in the fit.
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


@dataclass(frozen=True)
class Measured:
    """One run.

    Attributes:
        layers: a sample per layer that computes something.
        network, segments: what was done between the layers, by the run function and by segments.
        between: cycles of it all.
    """

    layers: tuple[Sample, ...]
    network: Work
    segments: Work
    between: int

    @property
    def cycles(self) -> int:
        """Of the whole run."""
        return sum(sample.cycles for sample in self.layers) + self.between


def measure(graph: Graph, board: Board, schedule: Schedule | None = None, branches: Branches | None = None) -> Measured:
    """A network on noise."""
    schedule = schedule or Schedule.whole(graph)
    plan = memory.plan(graph, schedule, branches)
    files = emit.render(graph, plan, name=graph.name, board=board.id, schedule=schedule, branches=branches)
    manifest = manifests.from_json(files[manifests.PATH])
    rng = np.random.default_rng(0)
    inputs = [rng.integers(-128, 128, graph.tensors[port.tensor].shape).astype(np.int8) for port in graph.inputs]
    with tempfile.TemporaryDirectory() as folder:
        path = emit.write(files, Path(folder, "library"))
        with BoardLibrary(path, manifest, board) as library:
            run = library.run(*inputs)
    samples, kernel_calls = [], 0
    segments = Counter(moves_work(graph, schedule, plan))
    for stage, places in zip(schedule.stages, plan.stages, strict=True):
        calls = [node_calls(graph, node, places) for node in graph.nodes[stage.start : stage.end]]
        for index, of_node in enumerate(calls, stage.start):
            for kernel, work in node_work(graph, stage, index, of_node).items():
                samples.append(Sample(kernel, work, run.layers[index].cycles))
        if stage.patches is None:
            kernel_calls += sum(map(len, calls))
        else:
            segments.update(segment_work(graph, stage, calls))
    between = run.cycles[0] - sum(sample.cycles for sample in samples)
    return Measured(tuple(samples), network_work(graph, kernel_calls), segments, between)


def fit(samples: Sequence[Sample], known: Mapping[str, float] | None = None) -> dict[str, float]:
    """Cycles of each count, not negative, with the least squared relative error.

    Args:
        known: those of counts that are not to be fitted.
    """
    known = known or {}
    names = sorted({name for sample in samples for name in sample.work} - set(known))
    counts = np.array([[sample.work.get(name, 0) for name in names] for sample in samples], np.float64)
    cycles = np.array([max(sample.cycles, 1) for sample in samples], np.float64)
    spent = [sum(known.get(name, 0) * count for name, count in sample.work.items()) for sample in samples]
    relative = counts / cycles[:, None]
    scale = relative.max(axis=0)
    scale[scale == 0] = 1
    solution, _ = nnls(relative / scale, 1 - np.array(spent) / cycles)
    fitted = {name: float(f"{value:.5g}") for name, value in zip(names, solution / scale, strict=True)}
    return dict(sorted({**fitted, **known}.items()))


def estimate(sample: Sample, cycles: Cycles) -> float:
    """Cycles of a sample by the fitted table."""
    return sum(cycles[sample.kernel].get(name, 0.0) * count for name, count in sample.work.items())


def error(sample: Sample, cycles: Cycles) -> float:
    """Relative difference between estimate and measurement."""
    return abs(estimate(sample, cycles) - sample.cycles) / sample.cycles


def networks() -> Iterable[tuple[Graph, Schedule]]:
    """The example network and real ones, and one of them in patches."""
    digits = pipeline.sized_graph(pipeline.load_model(DIGITS))
    real = [pipeline.load_model(shared() / "models" / f"{name}.tflite").graph for name in NETWORKS]
    for graph in (digits, *real):
        yield graph, Schedule.whole(graph)
    for end, grid, mode, is_pulled in PATCHED:
        patches = lay_out_segment(real[0], segment(real[0], 0, end), grid, mode, is_pulled=is_pulled)
        yield real[0], Schedule((Stage(0, end, patches), Stage(end, len(real[0].nodes), None)))


def divided(samples: Sequence) -> tuple[Sequence, Sequence]:
    """Samples to fit, and those that are held out."""
    known = [sample for index, sample in enumerate(samples, 1) if index % HELD_OUT]
    return known, samples[HELD_OUT - 1 :: HELD_OUT]


def errors(samples: Sequence[Sample], cycles: Cycles) -> list[float]:
    """Of each sample."""
    return [error(sample, cycles) for sample in samples]


def _of_kernel(kernel: str, runs: Iterable[Measured]) -> list[Sample]:
    return [sample for measured in runs for sample in measured.layers if sample.kernel == kernel]


def _network_sample(measured: Measured) -> Sample:
    return Sample(NETWORK, measured.network, measured.between)


def _segment_sample(measured: Measured, cycles: Cycles) -> Sample:
    """What is left of the code between the layers when the run function's own is known."""
    own = estimate(_network_sample(measured), cycles)
    return Sample(SEGMENT, measured.segments, measured.between - round(own))


def _scan_samples(board: Board) -> Iterable[Sample]:
    """Patches that are scanned, of two classes that compute alike, less the same patches without classes."""
    for branches, schedule in latency_patches.scanned():
        graph, stage = branches.common, schedule.stages[branches.stage]
        runs = [measure(graph, board, schedule, each) for each in (branches, None)]
        yield Sample(SCAN, scan_work(graph, stage), runs[0].cycles - runs[1].cycles)


def grids(schedule: Schedule) -> str:
    """What a table says of it."""
    return " ".join(f"{stage.patches.grid} {stage.patches.mode.value}" for stage in schedule.stages if stage.patches)


class Bench:
    """The table in the making: one core after the other."""

    def __init__(self) -> None:
        columns = [("core", 14), ("what", 36), ("samples", 8), ("median %", 9), ("worst %", 9)]
        self._results = Results("latency", columns)
        self._grids, self._chains = latency_grid.graphs(), latency_grid.chains()
        self._patched = latency_patches.networks()
        self._networks = tuple(networks())

    def core(self, core: str) -> str:
        """The table's sections of one core."""
        board = board_of(core)
        wholes = {graph.name: _of_kernel(graph.name, (measure(graph, board),)) for graph in self._grids}
        patched = [measure(graph, board, schedule) for graph, schedule in self._patched]
        known, held_out = divided(patched)
        cycles, sections, worst = {}, [], []
        for kernel, samples in wholes.items():
            fitted, tested = divided(samples)
            cycles[kernel] = fit([*fitted, *_of_kernel(kernel, known)])
            note = "held out: " + self._row(core, kernel, errors(tested, cycles))
            worst += errors(tested, cycles)
            parts = errors(_of_kernel(kernel, held_out), cycles)
            if parts:
                note += "; parts: " + self._row(core, f"parts of {kernel}", parts)
                worst += parts
            sections.append(section(f"{core}.{kernel}", cycles[kernel], note))
        cycles[NETWORK] = fit([_network_sample(measure(graph, board)) for graph in self._chains])
        sections.append(section(f"{core}.{NETWORK}", cycles[NETWORK]))
        samples = [_segment_sample(measured, cycles) for measured in known if measured.segments]
        cycles[SEGMENT] = fit(samples, {name: cycles["concatenation"][name] for name in MEMCPY})
        samples = [_segment_sample(measured, cycles) for measured in held_out if measured.segments]
        note = "held out: " + self._row(core, SEGMENT, errors(samples, cycles))
        sections.append(section(f"{core}.{SEGMENT}", cycles[SEGMENT], note))
        samples = list(_scan_samples(board))
        cycles[SCAN] = fit(samples)
        note = self._row(core, SCAN, errors(samples, cycles))
        sections.append(section(f"{core}.{SCAN}", cycles[SCAN], note))
        of_networks, of_layers = self._check(core, board, cycles)
        stated = {"network": rounded_up(of_networks), "layer": rounded_up(max(*worst, of_layers))}
        return "\n".join([section(f"{core}.error", stated), *sections])

    def _check(self, core: str, board: Board, cycles: Cycles) -> tuple[float, float]:
        """Largest errors of real networks, and of their layers."""
        whole, layers = [], []
        for graph, schedule in self._networks:
            measured = measure(graph, board, schedule)
            between = _network_sample(measured), _segment_sample(measured, cycles)
            total = sum(estimate(sample, cycles) for sample in (*measured.layers, *between))
            whole.append(abs(total - measured.cycles) / measured.cycles)
            limit = SMALL_LAYER * measured.cycles
            of_layers = errors([sample for sample in measured.layers if sample.cycles >= limit], cycles)
            name = f"{graph.name} {grids(schedule)}".strip()
            self._row(core, f"layers of {name}", of_layers)
            self._row(core, name, whole[-1:])
            layers += of_layers
        return max(whole), max(layers)

    def _row(self, core: str, what: str, errors: Sequence[float]) -> str:
        median, worst = 100 * float(np.median(errors)), 100 * max(errors)
        self._results.add(core=core, what=what, samples=len(errors), **{"median %": median, "worst %": worst})
        return f"median {median:.2f} %, worst {worst:.2f} % of {len(errors)}"


def section(name: str, values: Mapping[str, float], note: str = "") -> str:
    """A section of the table."""
    title = f"[cores.{name}]  # {note}" if note else f"[cores.{name}]"
    return "\n".join([title, *(f"{key} = {value:g}" for key, value in values.items()), ""])


def rounded_up(value: float) -> float:
    """To a tenth of a percent."""
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
