"""``qmkit toolchain``: how programs for an emulated board are compiled; asked by PlatformIO's builder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from quantmcu_kit.boards import catalog
from quantmcu_kit.cli import console, flags
from quantmcu_kit.emulate import firmware
from quantmcu_kit.emulate.cores import find_core
from quantmcu_kit.emulate.library import OPTIMIZE, STACK_BYTES, require_emulated
from quantmcu_kit.emulate.toolchain import find_toolchain
from quantmcu_kit.errors import QmkitError

Script = Annotated[
    Path | None, typer.Option("--linker-script", help="Write the board's linker script here.", show_default=False)
]


@console.command
def toolchain(board: flags.Board = "nano33ble", linker_script: Script = None, json: flags.Json = False) -> None:
    """Show the cross-compiler, flags and start-up code for an emulated board."""
    target = catalog.find(board)
    require_emulated(target)
    compiler, core = find_toolchain(), find_core(target.cpu)
    if linker_script:
        _write(linker_script, firmware.linker_script(firmware.MemoryMap.of(target, stack_bytes=STACK_BYTES)))
    facts = {
        "board": target.id,
        "core": core.name,
        "compiler": compiler.name,
        "command": compiler.command,
        "archiver": compiler.archiver,
        "flags": (*firmware.compile_flags(compiler, core), OPTIMIZE),
        "c_flags": firmware.C_FLAGS,
        "cxx_flags": firmware.CXX_FLAGS,
        "link_flags": firmware.link_flags(compiler, core, linker_script or Path("board.ld")),
        "libraries": firmware.link_libraries(compiler),
        "startup": str(firmware.FIRMWARE),
    }
    if json:
        console.print_json(facts)
        return
    for name, value in facts.items():
        text = value if isinstance(value, str) else shlex.join(value)
        console.out.print(f"{name:<10} {text}", soft_wrap=True, markup=False)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise QmkitError(
            "output-unwritable",
            f"the linker script cannot be written to {path}",
            why=error.strerror or str(error),
            hint="give a file in a folder that exists",
        ) from error
