"""Cycles of the kernels of ``ops.variants`` on cores that have their instructions, fitted.

python -m tests.bench.latency_native [--write] [core ...]

``--write`` refreshes platformio_lib/native_cycles.toml. A quarter of the synthetic layers, and every real network, take
no part in the fit.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from quantmcu_kit.emit.latency import table_of
from quantmcu_kit.emit.work import work_of
from quantmcu_kit.emulate.library import OPTIMIZE
from quantmcu_kit.emulate.toolchain import find_toolchain
from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.ops.interpret import kernel_calls, prepare_node
from quantmcu_kit.ops.variants import VARIANTS
from quantmcu_kit.ops.variants.variant import Variant
from tests.bench import latency_grid, latency_patches
from tests.bench.kernel_cases import WIDTHS, Case
from tests.bench.latency import (
    SMALL_LAYER,
    Cycles,
    Measured,
    Sample,
    board_of,
    divided,
    error,
    errors,
    estimate,
    fit,
    measure,
    networks,
    rounded_up,
    section,
)
from tests.bench.latency_grid import CHANNELS, MAP, Layers
from tests.bench.results import ROOT, Results
from tests.support.packed_networks import narrowed

TABLE = ROOT / "platformio_lib" / "native_cycles.toml"
REBOUND = ("add",)  # portable kernels that call native primitives
CORES = ("cortex-m4f", "cortex-m7", "cortex-m33")  # with the DSP extension
COUNT, TRIALS = 90, 2500  # layers of a variant; attempts to find them
TOGETHER = 30  # of them in a network
MOST_MACS = 200_000
CHECKED = ("vww_96_int8", "kws_int8", "ad01_int8", "resnet8_int8")
PATCHED = 16  # networks of latency_patches.py
WINDOWS = {"CONV_2D": (1, 3, 1, 5, 1, 3, (1, 5), 7, (10, 4)), "DEPTHWISE_CONV_2D": (3, 5, 7, 3, 5, 7, 2, (1, 4))}
ONLY = {"conv_first": {"window": 3, "channels": 3}, "depthwise_poly": {"window": 3}}  # what a variant is for
MIXED_WIDTHS = (
    *(((8, 8), None),) * 4,
    *((pair, None) for pair in WIDTHS),
    ((8, 8), 4),
    ((4, 4), 8),
    ((4, 8), 4),
    ((2, 2), 4),
    ((8, 4), 4),
)
HEADER = """\
# Cycles of what the kernels of quantmcu_kit/ops/variants do (quantmcu_kit/emit/native_work.py) on cores that have their
# instructions; cycles.toml has those of portable kernels, and tells more.
# Written by `make bench-latency`, held against the emulator by tests/budget/test_latency.py.
"""


def random_case(variant: Variant, rng: np.random.Generator, index: int) -> Case:
    """A layer of moderate size: odd and even maps and channels."""
    op, only = variant.ops[index % len(variant.ops)], ONLY.get(variant.name, {})
    inner, outer = (int(rng.choice(CHANNELS)) for _ in range(2))
    if op == "FULLY_CONNECTED":
        return Case("random", op, (1, 1, int(rng.integers(1, 900))), outer)
    window = only.get("window", WINDOWS[op][index % len(WINDOWS[op])])
    tall, wide = (window, window) if isinstance(window, int) else window
    if op == "CONV_2D" and max(tall, wide) > 1:  # else maps would be all border
        inner, outer = only.get("channels", int(rng.choice(CHANNELS[:-7]))), int(rng.choice(CHANNELS[:-7]))
    stride = (1, 1, 2)[int(rng.integers(3))] if max(tall, wide) > 1 or rng.integers(3) == 0 else 1
    per_pixel = tall * wide * (inner if op == "DEPTHWISE_CONV_2D" else inner * outer)
    height, width = (int(size) for size in rng.integers(3, 29, 2))
    while height * width * per_pixel > MOST_MACS * stride**2 and height * width > 1:
        height, width = width, height * 3 // 4 or 1
    is_padded = bool(rng.integers(2))
    least = (2, 2) if is_padded else (tall, wide)  # padded maps may be smaller than the window
    image = (max(height, least[0]), max(width, least[1]), inner)
    out = inner if op == "DEPTHWISE_CONV_2D" else outer
    return Case("random", op, image, out, window=window, stride=stride, is_padded=is_padded)


def runs_by(variant: Variant, graph: Graph, node: Node) -> bool:
    """Whether a variant runs a node."""
    return node.op in variant.ops and variant.supports(prepare_node(graph, node))


def forced(graph: Graph, variant: Variant) -> Graph:
    """The graph by a variant wherever it can be."""
    return graph.replace(
        nodes=[
            dataclasses.replace(node, kernel=variant.name) if runs_by(variant, graph, node) else node
            for node in graph.nodes
        ]
    )


def layers_of(variant: Variant) -> Iterator[Graph]:
    """Networks of layers that a variant runs, side by side."""
    rng = np.random.default_rng(len(variant.name))
    layers, found = Layers(variant.name), 0
    for index in range(TRIALS):
        case = random_case(variant, rng, index)
        widths, out_bits = MIXED_WIDTHS[int(rng.integers(len(MIXED_WIDTHS)))]
        options = {"widths": widths, "is_signed": bool(rng.integers(2)), "out_bits": out_bits}
        trial = Layers("trial")
        y = case.layer(trial, **options)
        graph = trial.graph()
        if not runs_by(variant, graph, graph.producer(y.name)):
            continue
        y = case.layer(layers, **options)
        if y.dtype.is_packed:
            layers.narrowed(y, 8, MAP)
        found += 1
        if found % TOGETHER == 0 or found == COUNT:
            yield forced(layers.graph(), variant)
            layers = Layers(f"{variant.name}_{found}")
        if found == COUNT:
            return
    if found % TOGETHER:
        yield forced(layers.graph(), variant)


def in_patches() -> Iterator[tuple[Graph, Schedule]]:
    """The patched networks of the bench, in their patches by variants drawn from those that can."""
    rng = np.random.default_rng(0)
    for index, (graph, schedule) in enumerate(latency_patches.networks()[:PATCHED]):
        adds_up = any(stage.patches and stage.patches.accumulates for stage in schedule.stages)
        graph = narrowed(graph, rng) if index % 2 and not adds_up else graph
        tiled = {entry.tensor for stage in schedule.stages if stage.patches for entry in stage.patches.maps}
        nodes = []
        for node in graph.nodes:
            able = [variant.name for variant in VARIANTS.values() if runs_by(variant, graph, node)]
            kernel = str(rng.choice(able)) if able and node.output in tiled else ""
            nodes.append(dataclasses.replace(node, kernel=kernel))
        if any(node.kernel for node in nodes):
            yield graph.replace(nodes=nodes), schedule


def samples_of(kernel: str, runs: Iterable[Measured]) -> list[Sample]:
    """What was measured of a kernel."""
    return [sample for run in runs for sample in run.layers if sample.kernel == kernel]


class Bench:
    """The table in the making: one core after the other."""

    def __init__(self) -> None:
        columns = [("core", 12), ("what", 36), ("samples", 8), ("median %", 9), ("worst %", 9)]
        self._results = Results("latency_native", columns)
        self._networks = tuple(networks())
        self._grids = {graph.name: (graph,) for graph in latency_grid.graphs() if graph.name in REBOUND}

    def core(self, core: str) -> str:
        """The table's sections of one core."""
        board = board_of(core)
        cycles: dict[str, dict[str, float]] = dict(table_of(core))
        sections, worst = [], []
        patched = [measure(graph, board, schedule) for graph, schedule in in_patches()]
        for kernel in (*REBOUND, *VARIANTS):
            graphs = self._grids[kernel] if kernel in REBOUND else layers_of(VARIANTS[kernel])
            whole = divided(samples_of(kernel, (measure(graph, board) for graph in graphs)))
            parts = divided(samples_of(kernel, patched))
            cycles[kernel] = {"part_calls": 0.0, **fit([*whole[0], *parts[0]])}
            if not parts[0]:
                cycles[kernel]["part_calls"] = cycles[kernel]["calls"]
            note = "held out: " + self._row(core, kernel, errors(whole[1], cycles))
            worst += errors(whole[1], cycles)
            if parts[1]:  # of most variants there are few
                note += "; parts: " + self._row(core, f"parts of {kernel}", errors(parts[1], cycles))
                worst += errors(parts[1], cycles)
            sections.append(section(f"{core}.{kernel}", cycles[kernel], note))
        of_networks, of_layers = self._check(core, cycles)
        stated = {"network": rounded_up(of_networks), "layer": rounded_up(max(*worst, of_layers))}
        return "\n".join([section(f"{core}.error", stated), *sections])

    def _check(self, core: str, cycles: Cycles) -> tuple[float, float]:
        """Largest errors of real networks by their fastest kernels, and of their layers."""
        whole, layers = [], []
        for graph, schedule in self._networks:
            if schedule.is_patched or graph.name not in CHECKED:
                continue
            fastest = _fastest(graph, cycles)
            run = measure(fastest, board_of(core), schedule)
            between = Sample("network", run.network, run.between)
            total = sum(estimate(sample, cycles) for sample in (*run.layers, between))
            whole.append(abs(total - run.cycles) / run.cycles)
            large = [sample for sample in run.layers if sample.cycles >= SMALL_LAYER * run.cycles]
            self._row(core, f"layers of {graph.name}", errors(large, cycles))
            self._row(core, graph.name, whole[-1:])
            layers += [error(sample, cycles) for sample in large]
        return max(whole), max(layers)

    def _row(self, core: str, what: str, found: Sequence[float]) -> str:
        median, worst = 100 * float(np.median(found)), 100 * max(found)
        self._results.add(core=core, what=what, samples=len(found), **{"median %": median, "worst %": worst})
        return f"median {median:.2f} %, worst {worst:.2f} % of {len(found)}"


def _fastest(graph: Graph, cycles: Cycles) -> Graph:
    """Every node by its kernel with fewest cycles in a table that is not written yet."""
    nodes = []
    for node in graph.nodes:
        ways = [node] + [
            dataclasses.replace(node, kernel=variant.name)
            for variant in VARIANTS.values()
            if variant.name in cycles and runs_by(variant, graph, node)
        ]
        nodes.append(min(ways, key=lambda way: _cycles(graph, way, cycles)))
    return graph.replace(nodes=nodes)


def _cycles(graph: Graph, node: Node, cycles: Cycles) -> float:
    return sum(estimate(Sample(call.kernel, work_of(call), 1), cycles) for call in kernel_calls(graph, node))


def main() -> None:
    """Measure and fit; write the table when asked to."""
    toolchain = find_toolchain()
    if toolchain.kind != "gcc":
        raise SystemExit("this bench needs arm-none-eabi-gcc: the table is for it")
    bench = Bench()
    wanted = [name for name in sys.argv[1:] if not name.startswith("-")] or CORES
    sections = [bench.core(core) for core in wanted]
    if "--write" in sys.argv:
        about = [HEADER, f'compiler = "{toolchain.name}"', f'level = "{OPTIMIZE}"', ""]
        TABLE.write_text("\n".join([*about, *_kept(wanted), *sections]), "utf-8")


def _kept(measured: Sequence[str]) -> list[str]:
    """Sections of the table as it is, of other cores."""
    found = re.split(r"(?=^\[cores\.)", TABLE.read_text("utf-8"), flags=re.MULTILINE)[1:] if TABLE.exists() else []
    return [text.rstrip() + "\n" for text in found if re.match(r"\[cores\.([^.]+)\.", text)[1] not in measured]


if __name__ == "__main__":
    main()
