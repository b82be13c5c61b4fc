"""Compiles a program for an emulated board: start-up code, memory map, a small C library, and the caller's sources.

The same program runs on QEMU (``-semihosting``) and, under a debugger, on the real board. Both compilers get the same C
library, so that a program's cycles do not depend on which library came with the compiler.
"""

from __future__ import annotations

import os
import re
import string
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from quantmcu_kit.boards.catalog import Board
from quantmcu_kit.emulate.cores import Core
from quantmcu_kit.emulate.toolchain import VARIABLE, Toolchain
from quantmcu_kit.errors import EXIT_FAILED, QmkitError

FIRMWARE = Path(__file__).with_name("firmware")
STARTUP_SOURCES = (FIRMWARE / "startup.c", FIRMWARE / "libc" / "libc.c")
C_FLAGS = ("-std=gnu99",)
CXX_FLAGS = ("-std=gnu++11", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics")
_CXX_SUFFIXES = (".cpp", ".cc", ".cxx")
_COMPILE_SECONDS = 600
PAGE = 1024  # the emulator maps whole pages
# Among the addresses of external memory (Armv7-M ARM, table B3-1); no board's flash or RAM in the catalog is there.
CAMERA_START = 0x90000000


@dataclass(frozen=True)
class MemoryMap:
    """Where a program's memory lies and how large it is, in bytes; the stack is part of RAM.

    ``camera_bytes`` at ``CAMERA_START`` are memory beside the board's own: they hold what a camera would deliver.
    """

    flash_start: int
    flash_bytes: int
    ram_start: int
    ram_bytes: int
    stack_bytes: int
    camera_bytes: int = 0

    @staticmethod
    def of(board: Board, *, stack_bytes: int, camera_bytes: int = 0) -> MemoryMap:
        """What the board's Arduino core leaves: the end of its RAM, and the start of its flash, in whole pages."""
        assert board.flash_start is not None and board.ram_start is not None, f"{board.id} is not emulated"
        ram_start = -(-(board.ram_start + board.core_ram_bytes) // PAGE) * PAGE
        ram_end = (board.ram_start + board.ram_bytes) // PAGE * PAGE
        return MemoryMap(
            flash_start=board.flash_start,
            flash_bytes=board.free_flash_bytes // PAGE * PAGE,
            ram_start=ram_start,
            ram_bytes=ram_end - ram_start,
            stack_bytes=stack_bytes,
            camera_bytes=-(-camera_bytes // PAGE) * PAGE,
        )


def linker_script(memory: MemoryMap) -> str:
    """The linker script for this memory."""
    return string.Template((FIRMWARE / "board.ld").read_text("utf-8")).substitute(asdict(memory))


def compile_flags(toolchain: Toolchain, core: Core) -> tuple[str, ...]:
    """Flags for every C and C++ file, without the level of optimization."""
    flags = (*toolchain.core_flags(core), "-g", "-ffunction-sections", "-fdata-sections", "-fno-common")
    flags += ("-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-isystem", str(FIRMWARE / "libc"))
    if toolchain.kind == "zig":
        # Without -fhosted a memcpy of four bytes is a call; zig turns the other two on for debuggers' sake.
        flags += ("-fhosted", "-fomit-frame-pointer", "-fno-sanitize=undefined", "-Wno-unused-command-line-argument")
    return (*flags, "-I", str(FIRMWARE))


def link_flags(toolchain: Toolchain, core: Core, script: Path) -> tuple[str, ...]:
    """Flags of the link, before the objects; ``script`` is the filled-in linker script."""
    # zig would leave its support functions out too.
    alone = ("-nostdlib",) if toolchain.kind == "gcc" else ()
    linker = ("-Wl,--gc-sections", "-Wl,--entry=reset_handler", "-T", str(script))
    return (*toolchain.core_flags(core), "-g", *alone, *linker)


def link_libraries(toolchain: Toolchain) -> tuple[str, ...]:
    """Flags after the objects: the compiler's own support functions, which zig adds by itself."""
    return ("-lgcc",) if toolchain.kind == "gcc" else ()


def compile_firmware(
    toolchain: Toolchain,
    core: Core,
    memory: MemoryMap,
    sources: Sequence[Path],
    *,
    includes: Sequence[Path] = (),
    defines: Mapping[str, str] | None = None,
    flags: Sequence[str] = (),
    target: Path,
) -> Path:
    """Compile C and C++ sources with the start-up code into ``target``, an ELF file.

    Args:
        defines: macros; "" defines one without a value.
        flags: further flags; -O2 and -std=gnu99 unless they say otherwise.
    Raises:
        QmkitError: ``compile-failed`` with the first messages; ``does-not-fit`` with the memory and its missing bytes.
    """
    common = [*compile_flags(toolchain, core)]
    common += [part for include in includes for part in ("-I", str(include))]
    common += [f"-D{name}={value}" if value else f"-D{name}" for name, value in (defines or {}).items()]
    common += flags if any(flag.startswith("-O") for flag in flags) else [*flags, "-O2"]
    c_flags = () if any(flag.startswith("-std=") for flag in flags) else C_FLAGS

    def compile_one(source: Path, product: Path) -> None:
        language = CXX_FLAGS if source.suffix in _CXX_SUFFIXES else c_flags
        _run(toolchain, [*common, *language, "-c", str(source), "-o", str(product)], source.name)

    with tempfile.TemporaryDirectory(prefix="qmkit-") as folder:
        script = Path(folder, "board.ld")
        script.write_text(linker_script(memory), "utf-8")
        every = [*STARTUP_SOURCES, *sources]
        objects = [Path(folder, f"{index}_{source.stem}.o") for index, source in enumerate(every)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(compile_one, every, objects))
        link = [*link_flags(toolchain, core, script), *map(str, objects), *link_libraries(toolchain)]
        _run(toolchain, [*link, "-o", str(target)], target.name)
    return target


def _run(toolchain: Toolchain, arguments: Sequence[str], product: str) -> None:
    try:
        result = subprocess.run(
            [*toolchain.command, *arguments], capture_output=True, text=True, errors="replace", timeout=_COMPILE_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise _failure(toolchain, product, f"no result after {_COMPILE_SECONDS} s") from error
    except OSError as error:
        raise _failure(toolchain, product, error.strerror or str(error)) from error
    if result.returncode != 0:
        _refuse_overflow(result.stderr)
        lines = [line for line in result.stderr.splitlines() if "collect2:" not in line]
        lines = [line for line in lines if "error" in line or "undefined" in line] or lines
        raise _failure(toolchain, product, "; ".join(lines[:3]))


def _refuse_overflow(messages: str) -> None:
    """Raise ``does-not-fit`` where GNU ld or lld says that a region is too small; lld has a line for each section."""
    missing: dict[str, int] = {}
    for region, count in re.findall(r"region .(FLASH|RAM).:? overflowed by (\d+) bytes", messages):
        missing[region] = max(missing.get(region, 0), int(count))
    if missing:
        names = {"FLASH": "flash", "RAM": "RAM"}
        amounts = [f"{missing[region]:,} bytes of {name}" for region, name in names.items() if region in missing]
        raise QmkitError(
            "does-not-fit",
            f"the program does not fit: {' and '.join(amounts)} are missing",
            why="the linker fills the memory that the board's core leaves for a sketch",
            hint="`qmkit boards` lists what each board has",
            exit_code=EXIT_FAILED,
        )


def _failure(toolchain: Toolchain, product: str, why: str) -> QmkitError:
    return QmkitError(
        "compile-failed",
        f"{toolchain.name} does not compile {product}",
        why=why,
        hint=f"correct the source, or set {VARIABLE} to another compiler",
        exit_code=EXIT_FAILED,
    )
