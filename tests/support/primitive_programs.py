"""C programs on an emulated Cortex-M4 that hold primitives against their references, with random operands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from quantmcu_kit.emit.runtime_files import runtime_root
from quantmcu_kit.emulate.cores import find_core
from quantmcu_kit.emulate.elf import Image
from quantmcu_kit.emulate.firmware import MemoryMap, compile_firmware
from quantmcu_kit.emulate.machine import Machine
from quantmcu_kit.emulate.toolchain import find_toolchain
from tests.support.firmware import CLOCK_HZ

CORE = "cortex-m4f"
MEMORY = MemoryMap(flash_start=0, flash_bytes=0x20000, ram_start=0x20000000, ram_bytes=0x20000, stack_bytes=4096)
FLOAT_ABIS = {"hard": (), "soft": ("-mfloat-abi=soft",)}  # flags
_SOURCES = runtime_root() / "src"
_HEAD = """
#include <string.h>
#include "semihosting.h"
#include "quantmcu/core/requant_lane.h"
#include "quantmcu/primitives/primitives.h"

static uint32_t state = 1;

static uint32_t any(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8 ^ state << 11;
}

static int32_t between(int32_t low, int32_t high) { return low + (int32_t)(any() >> 4) % (high - low + 1); }

static int runs, differing;

static void compare(const void *a, const void *b, size_t bytes)
{
    ++runs;
    differing += memcmp(a, b, bytes) != 0;
}

/* The numbers of comparisons and of those that differ, as lines of one character for each bit, lowest first. */
static int report(void)
{
    const int numbers[] = {runs, differing};
    for (int i = 0; i < 2; ++i) {
        char text[18];
        for (int bit = 0; bit < 16; ++bit) {
            text[bit] = (char)('0' + (numbers[i] >> bit & 1));
        }
        text[16] = '\\n';
        text[17] = 0;
        sys_write0(text);
    }
    return 0;
}

"""


def every_primitive() -> list[str]:
    """Primitives and their native forms, as :func:`compared` takes them."""
    folder = _SOURCES / "quantmcu"
    files = (*folder.glob("primitives/*.c"), *folder.glob("native/**/*.c"))
    return [str(file.relative_to(folder).with_suffix("")) for file in files]


def compared(body: str, files: Sequence[str], folder: Path, flags: Sequence[str] = ()) -> tuple[int, int]:
    """(comparisons, those that differ) of a program whose ``main`` calls ``compare`` and returns ``report()``.

    Args:
        files: of the runtime that it needs, without ``.c``.
    """
    program, target = folder / "program.c", folder / "program.elf"
    program.write_text(_HEAD + body)
    sources = [program, *(_SOURCES / "quantmcu" / f"{file}.c" for file in files)]
    compile_firmware(
        find_toolchain(), find_core(CORE), MEMORY, sources, includes=[_SOURCES], flags=flags, target=target
    )
    output = Machine(Image(target), CORE, MEMORY, clock_hz=CLOCK_HZ).run().output.decode()
    runs, differing = (int(line[::-1], 2) for line in output.split())
    return runs, differing
