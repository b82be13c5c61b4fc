"""``qmkit boards``: the catalog."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer
from rich.table import Table

from quantmcu_kit.boards import catalog
from quantmcu_kit.cli import console


@console.command
def boards(json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False) -> None:
    """List the boards and the memory they leave for a sketch."""
    entries = catalog.boards()
    if json:
        console.print_json({"boards": [dataclasses.asdict(board) for board in entries]})
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("board", "cpu"):
        table.add_column(title, no_wrap=True)
    for title in ("MHz", "RAM", "free", "flash", "free", "PSRAM"):
        table.add_column(title, justify="right", no_wrap=True)
    for board in entries:
        sizes = (board.ram_bytes, board.free_ram_bytes, board.flash_bytes, board.free_flash_bytes, board.psram_bytes)
        figures = [f"{size // 1024:,}" if size else "-" for size in sizes]
        table.add_row(board.id, board.cpu, str(board.clock_mhz), *figures)
    console.out.print(table)
    console.out.print("sizes in KiB; free: what the board's Arduino core leaves for a sketch", style="dim")
