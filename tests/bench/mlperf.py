"""The networks of MLPerf Tiny at 8 bits on an emulated NUCLEO-L4R5ZI at 120 MHz, beside published results.

python -m tests.bench.mlperf [network ...]

"waits" is the time with the board's flash: 5 wait states behind caches for code and data (board catalog); "copied" is
the same with constants in RAM as far as the board has room (`--hot-weights`).
Published results were measured on the board. The bus matrix is not modelled.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantmcu_kit import emit, pipeline
from quantmcu_kit.boards.catalog import Board, find
from quantmcu_kit.emit.latency import estimate_latency
from quantmcu_kit.emulate.library import BoardLibrary
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.layout import Layout, spare_ram
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.options import Options
from tests.bench.models import shared
from tests.bench.results import Results

BOARD = "nucleo_l4r5zi"
LEVELS = {"O2": "0", "Os": "1"}  # QMCU_SMALL_CODE
COLUMNS = [
    ("network", 14),
    ("kernels", 9),
    ("level", 5),
    ("ms", 8),
    ("ms, waits", 9),
    ("copied", 7),
    ("estimate", 8),
    ("cycles/MAC", 10),
    ("code", 8),
    ("arena", 8),
    ("most ms", 7),
    ("ok", 3),
]


@dataclass(frozen=True)
class Way:
    """Whether flash waits, and whether constants are copied to RAM."""

    waits: bool
    is_copied: bool


WAYS = (Way(False, False), Way(True, False), Way(True, True))


@dataclass(frozen=True)
class Network:
    """A network of the suite: its limit and published results in milliseconds, by the stack that reached them."""

    title: str
    most: float
    published: dict[str, float]


_STACKS = ("TFLM reference v0.5", "microTVM + CMSIS-NN v1.1", "Bosch HALE v1.2", "Plumerai v1.1", "X-CUBE-AI 9 v1.2")
NETWORKS = {
    "vww_96_int8": Network("VWW", 50, dict(zip(_STACKS, (600.6, 300.8, 180.5, 98.8, 88.9), strict=True))),
    "resnet8_int8": Network("IC", 122, dict(zip(_STACKS, (704.2, 389.6, 180.5, 167.8, 165.1), strict=True))),
    "kws_int8": Network("KWS", 33, dict(zip(_STACKS, (181.9, 99.8, 60.2, 47.8, 43.2), strict=True))),
    "ad01_int8": Network("AD", 2.9, dict(zip(_STACKS, (10.05, 8.60, 5.84, 4.05, 5.26), strict=True))),
}


def portable(graph: Graph) -> Graph:
    """The network by portable kernels alone."""
    return graph.replace(nodes=[dataclasses.replace(node, kernel="") for node in graph.nodes])


def measure(name: str, layout: Layout, board: Board, level: str) -> dict[str, object]:
    """Time with and without waits, and sizes; bytes must be the reference's."""
    whole = (layout.graph, layout.memory)
    room = spare_ram(board, Options(), layout.memory)
    by_way = {way: dict(emit.render(*whole, name=name, board=board.id, hot_bytes=room * way.is_copied)) for way in WAYS}
    (port,) = layout.graph.inputs
    inputs = np.random.default_rng(0).integers(-128, 128, layout.graph.tensors[port.tensor].shape).astype(np.int8)
    expected = Interpreter(layout.graph, integer=True).run({port.tensor: inputs})[layout.graph.outputs[0].tensor]
    milliseconds: dict[Way, float] = {}
    for way, files in by_way.items():
        (config,) = (path for path in files if path.endswith("quantmcu_config.h"))
        files[config] = files[config].replace("define QMCU_SMALL_CODE 0", f"define QMCU_SMALL_CODE {LEVELS[level]}")
        manifest = manifests.from_json(files[manifests.PATH])
        with tempfile.TemporaryDirectory() as folder:
            path = emit.write(files, Path(folder, "library"))
            with BoardLibrary(path, manifest, board, flash_waits=way.waits, check_accesses=False) as library:
                run, sizes = library.run(inputs), library.sizes
        if not np.array_equal(run.outputs[0], expected):
            raise SystemExit(f"{name} differs from the reference")
        milliseconds[way] = run.cycles[0] / (board.clock_mhz * 1000)
    return {
        **dict(zip(("ms", "ms, waits", "copied"), milliseconds.values(), strict=True)),
        "cycles/MAC": milliseconds[WAYS[0]] * board.clock_mhz * 1000 / manifest.macs,
        "code": sizes.code,
        "arena": manifest.arena_bytes,
    }


def main() -> None:
    """Every network, or those that are named."""
    board = find(BOARD)
    results = Results("mlperf", COLUMNS)
    for name in sys.argv[1:] or NETWORKS:
        network = NETWORKS[name]
        model = pipeline.load_model(shared() / "models" / f"{name}.tflite")
        layout = pipeline.lay_out(model.graph, board, Options(board=board.id, patches="off"))
        plain = dataclasses.replace(layout, graph=portable(layout.graph))
        for kernels, each, level in (("portable", plain, "O2"), ("chosen", layout, "O2"), ("chosen", layout, "Os")):
            row = measure(name, each, board, level)
            estimate = estimate_latency(each.graph, board, each.schedule, each.memory).milliseconds
            ok = "yes" if row["ms"] <= network.most else "no"
            results.add(
                network=network.title,
                kernels=kernels,
                level=level,
                estimate=estimate,
                **row,
                **{"most ms": network.most, "ok": ok},
            )
        published = ", ".join(f"{stack} {time:g}" for stack, time in network.published.items())
        print(f"    published, ms: {published}", flush=True)


if __name__ == "__main__":
    main()
