"""Every network on an emulated board, in its real memory map: bytes against the host, memory, cycles.

python -m tests.bench.boards [--board ID] [--optimize LEVEL] [name ...]

Networks that do not fit as a whole run in patches, as `qmkit build` plans them. A network whose weights exceed the
board's flash runs with as much flash as it takes, and the table says so; RAM is always the board's.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from quantmcu_kit import calibrate, emit, pipeline, quantize
from quantmcu_kit.boards import catalog
from quantmcu_kit.boards.catalog import Board
from quantmcu_kit.emit.footprint import estimate_footprint
from quantmcu_kit.emulate.library import OPTIMIZE, BoardLibrary
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.options import Options
from quantmcu_kit.pipeline import Model
from quantmcu_kit.verify import HostLibrary
from tests.bench.exact import quantized_samples
from tests.bench.int8 import quantized, task_of
from tests.bench.models import ModelEntry, entries
from tests.bench.results import Results

INPUTS = 4
MARGIN = 65_536  # bytes of flash beyond an estimate


def integer_graph(entry: ModelEntry, model: Model) -> tuple[Graph, np.ndarray]:
    """The int8 network and inputs [INPUTS, ...] for it: real ones where the model has a set."""
    if model.is_integer:
        return model.graph, quantized_samples(entry, model, INPUTS + 8)[:INPUTS]
    with tempfile.TemporaryDirectory() as folder:
        task = task_of(entry, model, Path(folder))
        graph, _ = quantized(entry, model, task, quantize.Settings("minmax", rounding="nearest"))
        samples = task.inputs.reshape(-1, *model.sample_shape)[:INPUTS]
        return graph, calibrate.quantized_inputs(graph, samples, entry.normalisation(model))


def measure(entry: ModelEntry, board: Board, optimize: str) -> dict[str, object]:
    """One row: what the network takes, and whether its bytes are the host's."""
    model = entry.load()
    graph, inputs = integer_graph(entry, model)
    with tempfile.TemporaryDirectory() as folder:
        layout = pipeline.lay_out(graph, board, Options(board=board.id))
        files = emit.render(layout.graph, layout.memory, name=model.name, board=board.id, schedule=layout.schedule)
        manifest = manifests.from_json(files[manifests.PATH])
        footprint = estimate_footprint(manifest)
        stages = "".join("P" if stage.patches else "w" for stage in layout.schedule.stages)
        facts = {
            "stages": stages if layout.schedule.is_patched else "whole",
            "input": "rows" if layout.schedule.pulls_input else "arena",
            "arena": manifest.arena_bytes,
            "flash": footprint.flash_bytes,
        }
        if footprint.ram_bytes > board.free_ram_bytes:
            return facts | {"differing": "no RAM", "ok": True}
        missing = max(0, footprint.flash_bytes - board.free_flash_bytes)
        if missing:
            board = dataclasses.replace(board, flash_bytes=board.flash_bytes + missing + MARGIN)
        path = emit.write(files, Path(folder, "library"))
        with HostLibrary(path) as host:
            expected = host.run(inputs)
        try:
            with BoardLibrary(path, manifest, board, optimize=optimize) as library:
                run = library.run(inputs)
                sizes = library.sizes
        except QmkitError as error:
            if error.code != "does-not-fit":
                raise
            return facts | {"differing": "no RAM", "ok": True}  # for the outputs beside the arena
    differing = sum(
        not np.array_equal(a[i], b[i]) for a, b in zip(run.outputs, expected, strict=True) for i in range(INPUTS)
    )
    cycles = max(run.cycles)
    return facts | {
        "stack": run.stack_bytes,
        "flash": sizes.code + sizes.rodata,
        "beyond": missing or "",
        "code": sizes.code,
        "MACs": manifest.macs,
        "cycles": cycles,
        "per MAC": cycles / manifest.macs,
        "ms": cycles / (board.clock_mhz * 1000),
        "differing": differing,
        "ok": differing == 0,
    }


def main() -> None:
    """Measure every network, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", default="nano33ble")
    parser.add_argument("--optimize", default=OPTIMIZE.removeprefix("-O"))
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    board = catalog.find(arguments.board)
    columns = [
        ("model", 30),
        ("stages", 14),
        ("input", 5),
        ("arena", 9),
        ("stack", 6),
        ("flash", 10),
        ("beyond", 10),
        ("code", 7),
        ("MACs", 12),
        ("cycles", 14),
        ("per MAC", 8),
        ("ms", 10),
        ("differing", 12),
    ]
    results = Results("boards", columns)
    for entry in entries("float", "int8-exact", "uint8"):
        if not arguments.names or entry.name in arguments.names:
            results.add(model=entry.name, **measure(entry, board, f"-O{arguments.optimize}"))
    if not all(row["ok"] for row in results.rows):
        raise SystemExit("some outputs differ from the host's")


if __name__ == "__main__":
    main()
