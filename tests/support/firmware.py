"""Small programs on emulated boards, compiled with whatever cross-compiler is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantmcu_kit.emulate.cores import find_core
from quantmcu_kit.emulate.elf import Image
from quantmcu_kit.emulate.firmware import MemoryMap, compile_firmware
from quantmcu_kit.emulate.machine import Machine
from quantmcu_kit.emulate.toolchain import find_toolchain

pytest.importorskip("unicorn", reason="the extra [emulator] is not installed")
pytest.importorskip("elftools", reason="the extra [emulator] is not installed")

CLOCK_HZ = 64_000_000
SMALL = MemoryMap(flash_start=0x10000, flash_bytes=0x20000, ram_start=0x20000000, ram_bytes=0x8000, stack_bytes=2048)
HEAD = '#include <stdint.h>\n#include <stddef.h>\n#include <string.h>\n#include "semihosting.h"\n'


def image(source: str, folder: Path, core: str = "cortex-m4f", memory: MemoryMap = SMALL, **options) -> Image:
    """The program of one C source, after the usual includes."""
    path = folder / "program.c"
    path.write_text(HEAD + source)
    target = folder / "program.elf"
    compile_firmware(find_toolchain(), find_core(core), memory, [path], target=target, **options)
    return Image(target)


def machine(source: str, folder: Path, core: str = "cortex-m4f", memory: MemoryMap = SMALL, **options) -> Machine:
    """A board with that program."""
    return Machine(image(source, folder, core, memory), core, memory, clock_hz=CLOCK_HZ, **options)


def line_of(source: str, text: str) -> int:
    """The line of program.c on which ``text`` stands."""
    return HEAD.count("\n") + source[: source.index(text)].count("\n") + 1
