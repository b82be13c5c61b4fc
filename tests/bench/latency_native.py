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

from quantmcu_kit import pipeline
from quantmcu_kit.emit.latency import NETWORK, SEGMENT, node_work, table_of
from quantmcu_kit.emulate.library import OPTIMIZE
from quantmcu_kit.emulate.toolchain import find_toolchain
from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.schedule import Grid, HaloMode, Schedule, Stage
from quantmcu_kit.ops.interpret import kernel_calls
from quantmcu_kit.ops.variants import VARIANTS
from quantmcu_kit.patch.lay_out import lay_out_segment
from quantmcu_kit.patch.segment import segment
from tests.bench import latency_grid
from tests.bench.latency import (
    SMALL_LAYER,
    Cycles,
    Measured,
    Sample,
    board_of,
    divided,
    errors,
    estimate,
    fit,
    grids,
    measure,
    rounded_up,
    section,
)
from tests.bench.models import shared
from tests.bench.native_layers import by_portable_kernels, in_patches, layers_of, runs_by, sums
from tests.bench.results import ROOT, Results

TABLE = ROOT / "platformio_lib" / "native_cycles.toml"
REBOUND = ("add", "average_pool_2d", "max_pool_2d", "mean")  # portable kernels that call native primitives
CORES = ("cortex-m4f", "cortex-m7", "cortex-m33")  # with the DSP extension
CHECKED = ("vww_96_int8", "kws_int8", "ad01_int8", "resnet8_int8")
PATCHED = (  # real networks: end of the first stage, grid, halo, whether the input is pulled
    ("vww_96_int8", 9, Grid(12, 1), HaloMode.REUSE, False),
    ("vww_96_int8", 9, Grid(6, 6), HaloMode.REUSE, True),
    ("vww_96_int8", 9, Grid(3, 3), HaloMode.RECOMPUTE, False),
    ("vww_96_int8", 9, Grid(5, 1), HaloMode.RECOMPUTE, False),
    ("vww_96_int8", 9, Grid(3, 1), HaloMode.RECOMPUTE, False),
    ("vww_96_int8", 7, Grid(8, 4), HaloMode.REUSE_ROWS, True),
    ("vww_96_int8", 11, Grid(2, 3), HaloMode.REUSE_COLUMNS, False),
    ("vww_96_int8", 5, Grid(6, 1), HaloMode.RECOMPUTE, True),
    ("mcunet_vww_80_int8", 14, Grid(5, 1), HaloMode.REUSE, True),
    ("mcunet_vww_80_int8", 10, Grid(4, 4), HaloMode.RECOMPUTE, False),
    ("mcunet_vww_80_int8", 14, Grid(2, 2), HaloMode.REUSE_ROWS, False),
    ("mcunet_vww_80_int8", 21, Grid(5, 5), HaloMode.REUSE, False),
    ("mcunet_vww_80_int8", 14, Grid(20, 1), HaloMode.REUSE_COLUMNS, False),
    ("resnet8_int8", 4, Grid(4, 4), HaloMode.REUSE, False),
    ("resnet8_int8", 4, Grid(4, 2), HaloMode.RECOMPUTE, True),
    ("kws_int8", 9, Grid(5, 1), HaloMode.REUSE, False),
)
_NAMES = tuple(dict.fromkeys((*CHECKED, *(name for name, *_ in PATCHED))))
HEADER = """\
# Cycles of what the kernels of quantmcu_kit/ops/variants do (quantmcu_kit/emit/native_work.py) on cores that have their
# instructions; cycles.toml has those of portable kernels, and tells more.
# Written by `make bench-latency`, held against the emulator by tests/budget/test_latency.py.
"""


def _rebound(kernel: str) -> tuple[Graph, ...]:
    return (sums(),) if kernel == "add" else tuple(graph for graph in latency_grid.graphs() if graph.name == kernel)


def samples_of(kernel: str, runs: Iterable[Measured]) -> list[Sample]:
    """What was measured of a kernel."""
    return [sample for run in runs for sample in run.layers if sample.kernel == kernel]


class Bench:
    """The table in the making: one core after the other."""

    def __init__(self) -> None:
        columns = [("core", 12), ("what", 36), ("samples", 8), ("median %", 9), ("worst %", 9)]
        self._results = Results("latency_native", columns)
        self._networks = tuple(networks())

    def core(self, core: str) -> str:
        """The table's sections of one core."""
        board = board_of(core)
        cycles: dict[str, dict[str, float]] = dict(table_of(core))
        sections, worst = [], []
        patched = {
            is_native: [measure(graph, board, schedule) for graph, schedule in networks]
            for is_native, networks in ((False, by_portable_kernels()), (True, in_patches()))
        }
        for kernel in (*REBOUND, *VARIANTS):
            graphs = layers_of(VARIANTS[kernel]) if kernel in VARIANTS else _rebound(kernel)
            whole = divided(samples_of(kernel, (measure(graph, board) for graph in graphs)))
            parts = divided(samples_of(kernel, patched[kernel in VARIANTS]))
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
        """Largest errors of real networks, whole and in patches, by their fastest kernels, and of their layers."""
        whole, layers = [], []
        for graph, schedule in self._networks:
            run = measure(_fastest(graph, schedule, cycles), board_of(core), schedule)
            between = Sample(NETWORK, run.network, 0), Sample(SEGMENT, run.segments, 0)
            total = sum(estimate(sample, cycles) for sample in (*run.layers, *between))
            whole.append(abs(total - run.cycles) / run.cycles)
            large = [sample for sample in run.layers if sample.cycles >= SMALL_LAYER * run.cycles]
            name = f"{graph.name} {grids(schedule)}".strip()
            self._row(core, f"layers of {name}", errors(large, cycles))
            self._row(core, name, whole[-1:])
            layers += errors(large, cycles)
        return max(whole), max(layers)

    def _row(self, core: str, what: str, found: Sequence[float]) -> str:
        median, worst = 100 * float(np.median(found)), 100 * max(found)
        self._results.add(core=core, what=what, samples=len(found), **{"median %": median, "worst %": worst})
        return f"median {median:.2f} %, worst {worst:.2f} % of {len(found)}"


def networks() -> Iterator[tuple[Graph, Schedule]]:
    """Real ones, whole and in patches."""
    graphs = {name: pipeline.load_model(shared() / "models" / f"{name}.tflite").graph for name in _NAMES}
    for name in CHECKED:
        yield graphs[name], Schedule.whole(graphs[name])
    for name, end, grid, mode, is_pulled in PATCHED:
        graph = graphs[name]
        patches = lay_out_segment(graph, segment(graph, 0, end), grid, mode, is_pulled=is_pulled)
        yield graph, Schedule((Stage(0, end, patches), Stage(end, len(graph.nodes), None)))


def _fastest(graph: Graph, schedule: Schedule, cycles: Cycles) -> Graph:
    """Every node by its kernel with fewest cycles in a table that is not written yet."""
    steps = ((stage, index) for stage in schedule.stages for index in range(stage.start, stage.end))
    return graph.replace(nodes=[_fastest_node(graph, stage, index, cycles) for stage, index in steps])


def _fastest_node(graph: Graph, stage: Stage, index: int, cycles: Cycles) -> Node:
    node = graph.nodes[index]
    is_free = stage.patches is None or node.output in stage.patches.by_tensor
    able = [name for name, variant in VARIANTS.items() if is_free and runs_by(variant, graph, node)]
    ways = [node, *(dataclasses.replace(node, kernel=name) for name in able)]
    return min(ways, key=lambda way: _cycles(graph, stage, index, way, cycles))


def _cycles(graph: Graph, stage: Stage, index: int, node: Node, cycles: Cycles) -> float:
    works = node_work(graph, stage, index, kernel_calls(graph, node))
    return sum(estimate(Sample(kernel, work, 1), cycles) for kernel, work in works.items())


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
