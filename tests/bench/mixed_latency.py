"""Whole networks in mixed precision chosen by cycles, against int8 patches that recompute their halos.

python -m tests.bench.mixed_latency [--pictures N] [--targets R,R,...] [--grid RxC] [--search S] [name ...]

Cycles are those of the emulated Cortex-M4, flash without waits; each row adds one step to the row above: channels that
never matter go, rows and columns that patches need again are kept, the planner chooses patches within the RAM of the
first row, and widths get narrower (`--search milp --cost cycles --latency`, proxy kl, no labels, nothing trained).
"faster" is against int8 patches with recomputed halos by the same kernels. "CMSIS-NN" is against these at CMSIS-NN's
cycles per multiply-accumulate, fitted to its figures in kernel_cases.py, with what it has no figures for at our cost.
Top-1 lost is against the float model, paired, with its 95 % interval.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable

import numpy as np
from scipy.optimize import nnls

from quantmcu_kit import accuracy, passes, search
from quantmcu_kit.emit.latency import estimate_latency
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.layout import Layout, lay_out
from quantmcu_kit.mix import find_mix, frame_of
from quantmcu_kit.numerics.intervals import paired_loss, share
from quantmcu_kit.options import Options
from quantmcu_kit.quantize.ties import tie_groups
from tests.bench.kernel_cases import CASES
from tests.bench.kernels import roomy_board
from tests.bench.latency import measure
from tests.bench.mixes import Network
from tests.bench.results import Results

NETWORKS = ("mobilenet_v2_05_160_float", "mcunet_320kb_float")
TARGETS = "1.3,1.4,1.5,2.0"
COLUMNS = [("network", 26), ("what", 24), ("M cycles", 9), ("faster", 6), ("CMSIS-NN", 8), ("bits", 5), ("top-1", 6),
           ("lost", 22), ("seconds", 7)]  # fmt: skip
BOARD = roomy_board()


def cmsis_nn_cycles(op: str) -> Callable[[int, int], float]:
    """Cycles per multiply-accumulate by the values that an output is a sum of, and by output channels.

    A depthwise layer's are nearly the same in all cases; others share loads and sums between channels.
    """
    cases = [case for case in CASES if case.op == op]
    figures = np.array([case.cmsis_nn for case in cases])
    if op == "DEPTHWISE_CONV_2D":
        return lambda taps, channels: float(np.median(figures))
    rows = np.array([(1.0, 1 / case.taps, 1 / case.out) for case in cases])
    (constant, of_taps, of_channels), _ = nnls(rows / figures[:, None], np.ones(len(cases)))
    return lambda taps, channels: constant + of_taps / taps + of_channels / channels


def cycles_by_cmsis_nn(network: Network, layout: Layout) -> float:
    """Of a network in patches at 8 bits."""
    estimated = estimate_latency(layout.graph, BOARD, layout.schedule, layout.memory)
    own = dict(zip((node.name for node in layout.graph.nodes), estimated.layers, strict=True))
    nodes = {node.name: node for node in network.base.nodes}
    per_mac = {op: cmsis_nn_cycles(op) for op in {case.op for case in CASES}}
    problem = search.build(network.graph, tie_groups(network.graph), layout.schedule)
    counted = {work.name for work in problem.works if nodes[work.name].op in per_mac}
    total = sum(cycles for name, cycles in own.items() if name not in counted)
    for work in problem.works:
        if work.name in counted:
            node = nodes[work.name]
            weights = network.base.tensors[node.inputs[1]]
            channels = network.base.tensors[node.output].shape[-1]
            taps = int(np.prod(weights.shape)) // channels
            total += work.macs * per_mac[node.op](taps, channels)
    return total


class Bench:
    """One network's rows."""

    def __init__(self, name: str, arguments: argparse.Namespace, results: Results) -> None:
        self._network, self._results, self._name = Network(name, arguments.pictures), results, name
        self._search = arguments.search
        again = Options(patches=arguments.grid, halo="recompute", vdpc="off")
        kept = dataclasses.replace(again, halo="reuse")
        graph = passes.remove_dead_channels(self._network.base)
        whole = lay_out(self._network.base, BOARD, again)
        self._by_cmsis_nn = cycles_by_cmsis_nn(self._network, whole)
        self._baseline = self._cycles(whole)
        self._add("int8, halos recomputed", self._baseline, "8.00", self._network.int8_hits())
        self._add("and no dead channels", self._cycles(lay_out(graph, BOARD, again)), "8.00")  # exact: the same top-1
        self._add("and halos kept", self._cycles(lay_out(graph, BOARD, kept)), "8.00")
        self._options = Options(ram=whole.memory.arena_bytes, vdpc="off")
        self._add("and planned, same RAM", self._cycles(lay_out(graph, BOARD, self._options)), "8.00")

    def mix(self, target: float) -> None:
        """The mix that loses least at a latency."""
        started = time.perf_counter()
        milliseconds = self._baseline / target / (BOARD.clock_mhz * 1000)
        options = dataclasses.replace(
            self._options, bits="auto", cost="cycles", latency=milliseconds, search=self._search
        )
        network = self._network
        try:
            found, layout = find_mix(
                network.graph,
                network.base,
                network.calibration,
                network.inputs,
                BOARD,
                frame_of(network.graph, BOARD, options),
                lambda *_: None,
                sensitivity=network.sensitivity,
                refined_on=accuracy.spread(network.training_inputs, accuracy.FEEDBACK_PICTURES),
            )
        except QmkitError as error:
            self._results.add(network="", what=f"and widths, /{target}", lost=error.code)
            return
        seconds = time.perf_counter() - started
        bits = (64 * found.result.bitops / found.result.bitops_int8) ** 0.5
        self._add(f"and widths, /{target}", self._cycles(layout), f"{bits:.2f}", self._hits(found.graph), seconds)

    def _hits(self, graph: Graph) -> np.ndarray:
        return self._network.hits_of(graph)

    def _cycles(self, layout: Layout) -> int:
        return measure(layout.graph, BOARD, layout.schedule).cycles

    def _add(
        self, what: str, cycles: int, bits: str, hits: np.ndarray | None = None, seconds: float | None = None
    ) -> None:
        measured = {}
        if hits is not None:
            lost = str(paired_loss(self._network.float_hits, hits))
            measured = {"top-1": f"{share(hits).value:.2f}", "lost": lost}
        self._results.add(
            network=self._name,
            what=what,
            **{"M cycles": cycles / 1e6, "faster": self._baseline / cycles, "CMSIS-NN": self._by_cmsis_nn / cycles},
            bits=bits,
            **measured,
            seconds="" if seconds is None else f"{seconds:.0f}",
        )
        self._name = ""


def main() -> None:
    """Both networks, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=650)
    parser.add_argument("--targets", default=TARGETS)
    parser.add_argument("--grid", default="4x4")
    parser.add_argument("--search", default="milp")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    results = Results("mixed_latency", COLUMNS)
    for name in arguments.names or NETWORKS:
        bench = Bench(name, arguments, results)
        for target in arguments.targets.split(","):
            bench.mix(float(target))


if __name__ == "__main__":
    main()
