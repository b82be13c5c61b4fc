"""``qmkit emulate``: runs any firmware on an emulated board."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from quantmcu_kit.boards import catalog
from quantmcu_kit.cli import console, flags
from quantmcu_kit.emulate.elf import Image
from quantmcu_kit.emulate.firmware import MemoryMap
from quantmcu_kit.emulate.library import STACK_BYTES, require_emulated
from quantmcu_kit.emulate.machine import Machine, Run
from quantmcu_kit.errors import EXIT_FAILED

ElfPath = Annotated[Path, typer.Argument(metavar="ELF", help="A program for the board, linked.", show_default=False)]
Limit = Annotated[
    float, typer.Option("--limit", help="Seconds on the board after which a program counts as endless.", min=0.001)
]


@console.command
def emulate(elf: ElfPath, board: flags.Board = "nano33ble", limit: Limit = 60, json: flags.Json = False) -> None:
    """Run a firmware on an emulated board: its console here, faults with function and line, cycles per function."""
    target = catalog.find(board)
    require_emulated(target)
    clock = target.clock_mhz * 1_000_000
    machine = Machine(Image(elf), target.cpu, MemoryMap.of(target, stack_bytes=STACK_BYTES), clock_hz=clock)
    run = machine.run(limit=int(limit * clock), output=None if json else _print_console)
    if json:
        console.print_json(_facts(run, clock))
    else:
        _print(run, clock)
    if run.exit_code:
        raise typer.Exit(EXIT_FAILED)


def _print_console(data: bytes) -> None:
    sys.stdout.write(data.decode("utf-8", errors="replace"))
    sys.stdout.flush()


def _facts(run: Run, clock: int) -> dict[str, object]:
    return {
        "exit_code": run.exit_code,
        "cycles": run.cycles,
        "instructions": run.instructions,
        "milliseconds": run.cycles / clock * 1000,
        "stack_bytes": run.stack_bytes,
        "unaligned_accesses": run.unaligned,
        "functions": [{"name": name, "cycles": cycles} for name, cycles in run.functions],
        "output": run.output.decode("utf-8", errors="replace"),
    }


def _print(run: Run, clock: int) -> None:
    """What the program cost, on standard error: standard output is the program's."""
    stack = "" if run.stack_bytes is None else f", stack {run.stack_bytes:,} B"
    console.err.print(
        f"exit code {run.exit_code}, {run.cycles:,} cycles ({run.cycles / clock * 1000:,.2f} ms), "
        f"{run.instructions:,} instructions{stack}",
        style="dim",
        soft_wrap=True,
    )
