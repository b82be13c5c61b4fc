"""MLPerf Tiny networks in mixed precision chosen by cycles: milliseconds at 120 MHz, and what accuracy is left.

python -m tests.bench.mlperf_mixed [--search S] [--shares R,R,...] [--effort SECONDS] [network ...]

Of each network that has a float file: 8 bits, then the mix that loses least on calibration samples within so much of
the time that 8 bits take. "ms" is that of the emulated NUCLEO-L4R5ZI, flash without waits; the score is the compiled
library's, on samples that are not calibrated on. With ``--effort`` the mix is trained for so long, without labels.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from quantmcu_kit import accuracy, calibrate, emit, passes, quantize
from quantmcu_kit.boards.catalog import find
from quantmcu_kit.calibrate import FloatReference
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.plans import PrecisionPlan
from quantmcu_kit.layout import Layout, lay_out
from quantmcu_kit.mix import find_mix, frame_of
from quantmcu_kit.options import Options
from quantmcu_kit.verify import HostLibrary
from tests.bench.int8 import BATCH, Task, scores, task_of
from tests.bench.latency import measure
from tests.bench.mlperf import BOARD
from tests.bench.models import ModelEntry, entries
from tests.bench.results import Results

NETWORKS = {"vww_96_float": "VWW", "resnet8_float": "IC", "kws_hybrid": "KWS", "ad01_float": "AD"}
SHARES = "0.93,0.9,0.8,0.757"  # the last is 90 ms of IC
PICTURES = 64  # that losses are measured on
COLUMNS = [("network", 8), ("what", 16), ("ms", 7), ("bits", 5), ("metric", 7), ("n", 5), ("float", 6), ("score", 6)]


class Bench:
    """One network's rows."""

    def __init__(self, entry: ModelEntry, folder: Path, results: Results, arguments: argparse.Namespace) -> None:
        self._title, self._results, self._arguments = NETWORKS[entry.name], results, arguments
        self._board, self._model = find(BOARD), entry.load()
        self._preprocess = entry.normalisation(self._model)
        self._task: Task = task_of(entry, self._model, folder)
        self._calibration, _ = calibrate.observe(
            self._model.data,
            self._model.graph,
            self._task.calibration,
            self._preprocess,
            limit=Options.limit,
            progress=lambda *_: None,
        )
        settings = quantize.Settings()
        self._int8 = quantize.apply(self._model.graph, self._calibration, PrecisionPlan(), settings)
        batches = self._task.calibration.batches(BATCH, limit=Options.limit)
        samples = np.concatenate([batch.data for batch in batches])
        self._samples = calibrate.quantized_inputs(self._int8, samples, self._preprocess)
        self._flat = self._task.inputs.reshape(-1, *self._model.sample_shape)
        real_inputs = calibrate.runtime_inputs(self._model.graph, self._flat, self._preprocess)
        with FloatReference(self._model.data) as runtime:
            starts = range(0, len(self._flat), BATCH)
            outputs = [runtime.outputs([real_inputs[at : at + BATCH]])[0] for at in starts]
        self._real = np.concatenate(outputs).reshape(len(self._flat), -1)
        options = Options(board=BOARD, patches="off")
        layout = lay_out(passes.remove_dead_channels(self._int8), self._board, options)
        self._milliseconds = self._add("8 bits", layout, 8.0)

    def mix(self, share: float) -> None:
        """The mix within a share of the time at 8 bits."""
        options = Options(
            board=BOARD,
            patches="off",
            vdpc="off",
            bits="auto",
            cost="cycles",
            latency=share * self._milliseconds,
            search=self._arguments.search,
            effort=self._arguments.effort,
        )
        graph, what = self._model.graph, f"in {share:g} of it"
        few = accuracy.spread(self._samples, PICTURES)
        fitted_on = len(self._samples) if options.effort else accuracy.FEEDBACK_PICTURES
        try:
            found, layout = find_mix(
                graph,
                self._int8,
                self._calibration,
                few,
                self._board,
                frame_of(graph, self._board, options),
                lambda *_: None,
                refined_on=accuracy.spread(self._samples, fitted_on),
            )
        except QmkitError as error:
            self._results.add(network="", what=f"{what}: {error.code}")
            return
        bits = (64 * found.result.bitops / found.result.bitops_int8) ** 0.5
        self._add(what, layout, bits)

    def _add(self, what: str, layout: Layout, bits: float) -> float:
        """Measure a row; its milliseconds."""
        milliseconds = measure(layout.graph, self._board, layout.schedule).cycles / (self._board.clock_mhz * 1000)
        before, after = scores(self._task, self._real, self._outputs(layout))
        self._results.add(
            network=self._title,
            what=what,
            ms=milliseconds,
            bits=f"{bits:.2f}",
            metric=self._task.metric,
            n=len(self._task.inputs),
            float=before,
            score=after,
        )
        self._title = ""
        return milliseconds

    def _outputs(self, layout: Layout) -> np.ndarray:
        """Real-valued first outputs [n, values] of the compiled library."""
        inputs = calibrate.quantized_inputs(layout.graph, self._flat, self._preprocess)
        files = emit.render(layout.graph, layout.memory, name="network", board=BOARD, schedule=layout.schedule)
        with (
            tempfile.TemporaryDirectory() as folder,
            HostLibrary(emit.write(files, Path(folder, "library"))) as library,
        ):
            outputs = library.run(inputs)[0]
        return layout.graph.tensors[layout.graph.outputs[0].tensor].quant.dequantize(outputs).reshape(len(inputs), -1)


def main() -> None:
    """Every network, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--search", default="milp")
    parser.add_argument("--shares", default=SHARES)
    parser.add_argument("--effort", type=int, default=0)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    results = Results("mlperf_mixed", COLUMNS)
    for entry in entries("float"):
        if entry.name not in (arguments.names or NETWORKS):
            continue
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(entry, Path(folder), results, arguments)
            for share in arguments.shares.split(","):
                bench.mix(float(share))


if __name__ == "__main__":
    main()
