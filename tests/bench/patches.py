"""What patches cost in cycles: networks in forced grids on an emulated Cortex-M4, against the same networks as a whole.

python -m tests.bench.patches

RAM and flash of the board are enlarged, so that the whole networks run too. "MACs" is the factor of
multiply-accumulates; "expected" weights each layer's factor with its cycles as a whole: layers that compute again may
be dearer than others.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from quantmcu_kit import emit, memory
from quantmcu_kit.boards import catalog
from quantmcu_kit.emit.layers import stage_macs
from quantmcu_kit.emulate.library import BoardLibrary, BoardRun
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.schedule import Grid, HaloMode, Schedule, Stage
from quantmcu_kit.patch.lay_out import lay_out_segment
from quantmcu_kit.patch.segment import segment
from tests.bench.models import entries
from tests.bench.results import Results

BOARD = dataclasses.replace(catalog.find("nano33ble"), ram_bytes=8 << 20, flash_bytes=16 << 20, ram_start=0x2000_0000)
REUSE, ROWS, AGAIN = HaloMode.REUSE, HaloMode.REUSE_ROWS, HaloMode.RECOMPUTE
NETWORKS = {  # end of the patched stage, and the (grid, halo, whether the input is pulled) that are tried
    "vww_96_int8": 9,
    "mcunet_vww_80_int8": 14,
    "mobilenet_v2_05_160_uint8": 17,
}
PLANS = (
    (Grid(10, 1), REUSE, False),
    (Grid(10, 1), REUSE, True),
    (Grid(5, 5), REUSE, True),
    (Grid(5, 5), ROWS, True),
    (Grid(2, 1), AGAIN, False),
    (Grid(2, 2), AGAIN, False),
    (Grid(3, 3), AGAIN, False),
)
MOST_OVER = 1.05


def run(graph: Graph, schedule: Schedule, x: np.ndarray) -> BoardRun:
    """One run on the board."""
    with tempfile.TemporaryDirectory() as folder:
        plan = memory.plan(graph, schedule)
        files = emit.render(graph, plan, name="net", board=BOARD.id, schedule=schedule)
        path = emit.write(files, Path(folder, "net"))
        manifest = manifests.from_json(files[manifests.PATH])
        with BoardLibrary(path, manifest, BOARD, check_accesses=False) as library:
            return library.run(x)


def main() -> None:
    """Measure every network in every plan."""
    columns = [("network", 26), ("grid", 6), ("halo", 11), ("input", 6), ("cycles", 14), ("factor", 7), ("MACs", 6),
               ("expected", 8), ("over", 6)]  # fmt: skip
    results = Results("patches", columns)
    for entry in entries("int8-exact", "uint8"):
        if entry.name not in NETWORKS:
            continue
        graph, end = entry.load().graph, NETWORKS[entry.name]
        shape = graph.tensors[graph.inputs[0].tensor].shape
        x = np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)
        whole = run(graph, Schedule.whole(graph), x)
        results.add(network=entry.name, grid="whole", cycles=whole.cycles[0], ok=True)
        piece = segment(graph, 0, end)
        for grid, halo, pulls in PLANS:
            stage = Stage(0, end, lay_out_segment(graph, piece, grid, halo, is_pulled=pulls))
            rest = Stage(end, len(graph.nodes), None)
            patched = run(graph, Schedule((stage, rest)), x)
            once = [stage_macs(graph, rest, node) for node in graph.nodes]
            macs = [stage_macs(graph, stage if index < end else rest, node) for index, node in enumerate(graph.nodes)]
            expected = sum(
                layer.cycles * (new / old if old else 1)
                for layer, new, old in zip(whole.layers, macs, once, strict=True)
            )
            factor = patched.cycles[0] / whole.cycles[0]
            over = patched.cycles[0] / (expected + whole.cycles_between)
            results.add(
                network="",
                grid=str(grid),
                halo=halo.value,
                input="rows" if pulls else "arena",
                cycles=patched.cycles[0],
                factor=f"{factor:.3f}",
                MACs=f"{sum(macs) / sum(once):.3f}",
                expected=f"{expected / sum(layer.cycles for layer in whole.layers):.3f}",
                over=f"{over:.3f}",
                ok=over <= MOST_OVER and np.array_equal(patched.outputs[0], whole.outputs[0]),
            )
    if not all(row["ok"] for row in results.rows):
        raise SystemExit("patches cost more than the work that they do, or outputs differ")


if __name__ == "__main__":
    main()
