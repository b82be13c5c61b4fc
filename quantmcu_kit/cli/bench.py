"""``qmkit bench``: modelled cycles of a library, layer by layer, on an emulated board."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from quantmcu_kit.boards import catalog
from quantmcu_kit.boards.catalog import Board
from quantmcu_kit.cli import console, flags
from quantmcu_kit.emulate import flash
from quantmcu_kit.emulate.library import BoardLibrary, BoardRun
from quantmcu_kit.verify.contents import read_contents

OnBoard = Annotated[
    str | None, typer.Option("--board", help="Board to emulate. Default: the one it was built for.", show_default=False)
]

_TITLES = ("", "operator", "layer", "MACs", "cycles", "per MAC", "ms", "share")
_BETWEEN = "between layers"  # checks, copies of input and output, moves from patch to patch
_NAME = _TITLES.index("layer")
_GAP = 2  # between columns


class Level(str, Enum):
    """Levels of optimization, as after -O."""

    SIZE = "s"
    TWO = "2"
    THREE = "3"


Optimize = Annotated[Level, typer.Option("--optimize", help="The compiler's level of optimization, as after -O.")]
FlashWaits = Annotated[
    bool, typer.Option("--flash-waits", help="Let the flash make the core wait, through the caches that are described.")
]


@console.command
def bench(
    library: flags.LibraryPath,
    board: OnBoard = None,
    optimize: Optimize = Level.SIZE,
    flash_waits: FlashWaits = False,
    json: flags.Json = False,
) -> None:
    """Run a library on an emulated board and show modelled cycles per layer, stack and memory."""
    contents = read_contents(library)
    target = catalog.find(board or contents.manifest.board)
    level = f"-O{optimize.value}"
    with (
        console.progress(not json) as progress,
        BoardLibrary(library, contents.manifest, target, optimize=level, flash_waits=flash_waits) as on_board,
    ):
        progress("run", 0, 1)
        run = on_board.run(*(inputs[:1] for inputs in contents.golden_inputs))
        progress("run", 1, 1)
        facts = _facts(on_board, run)
        if json:
            console.print_json(facts)
        else:
            _print(contents.manifest.name, on_board, run, facts, f"{level}, {_flash(flash_waits, target)}")


def _facts(library: BoardLibrary, run: BoardRun) -> dict[str, object]:
    sizes, cycles = library.sizes, run.cycles[0]
    return {
        "board": library.board.id,
        "compiler": library.toolchain.name,
        "confidence": library.model.confidence.value,
        "cycles": cycles,
        "latency_ms": _milliseconds(cycles, library.board),
        "macs": sum(layer.macs for layer in run.layers),
        "layers": [
            {"name": layer.name, "op": layer.op, "macs": layer.macs, "cycles": layer.cycles} for layer in run.layers
        ],
        "stack_bytes": run.stack_bytes,
        "code_bytes": sizes.code,
        "rodata_bytes": sizes.rodata,
        "data_bytes": sizes.data,
        "bss_bytes": sizes.bss,
        "arena_bytes": sizes.arena,
        "ram_bytes": sizes.data + sizes.bss + sizes.arena + run.stack_bytes,
    }


def _milliseconds(cycles: int, board: Board) -> float:
    return cycles / (board.clock_mhz * 1000)


def _flash(waits: bool, board: Board) -> str:
    return f"flash: {flash.FlashWaits.of(board)}" if waits else "flash without waits (see --flash-waits)"


def _print(name: str, library: BoardLibrary, run: BoardRun, facts: dict, how: str) -> None:
    board, out = library.board, console.out
    out.print(Text.assemble((name, "bold"), f" on {board.id}, {board.cpu} at {board.clock_mhz} MHz"))
    out.print(f"{library.toolchain.name} {how}", style="dim", soft_wrap=True)
    out.print(f"cycles: {library.model.source} ({library.model.confidence.value})", style="dim", soft_wrap=True)
    out.print(_table(run, board))
    sizes = library.sizes
    variables = sizes.data + sizes.bss
    rate = f", {facts['cycles'] / facts['macs']:.2f} cycles/MAC" if facts["macs"] else ""
    out.print(Text.assemble((f"{facts['latency_ms']:,.2f} ms", "bold"), f"   {facts['cycles']:,} cycles{rate}"))
    ram = f"arena {sizes.arena:,}, stack {run.stack_bytes:,}, variables {variables:,}"
    out.print(f"RAM    {facts['ram_bytes']:,} B: {ram}")
    out.print(f"flash  {sizes.code + sizes.rodata:,} B: code {sizes.code:,}, constants {sizes.rodata:,}")


def _table(run: BoardRun, board: Board) -> Table:
    """Layers that take time, and what lies between them; on a narrow terminal names give way, figures never do."""
    rows = [
        (f"{layer.index:02d}", layer.op, layer.name, *_figures(layer.macs, layer.cycles, run.cycles[0], board))
        for layer in run.layers
        if layer.cycles
    ]
    rows.append(("", "", _BETWEEN, *_figures(0, run.cycles_between, run.cycles[0], board)))
    widths = [max(map(len, column)) for column in zip(_TITLES, *rows, strict=True)]
    others = sum(widths) - widths[_NAME] + _GAP * (len(widths) - 1)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for position, (title, width) in enumerate(zip(_TITLES, widths, strict=True)):
        if position == _NAME:
            width = min(width, max(console.out.width - others, len(title)))
        side = "left" if title in ("operator", "layer") else "right"
        table.add_column(title, justify=side, no_wrap=True, overflow="ellipsis", width=width)
    for row in rows:
        table.add_row(*row)
    return table


def _figures(macs: int, cycles: int, total: int, board: Board) -> tuple[str, ...]:
    """The columns from MACs on."""
    return (
        f"{macs:,}" if macs else "-",
        f"{cycles:,}",
        f"{cycles / macs:.2f}" if macs else "-",
        f"{_milliseconds(cycles, board):,.2f}",
        f"{100 * cycles / total:.1f} %",
    )
