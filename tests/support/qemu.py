"""QEMU's Cortex-M machines, as an emulator that shares no code of ours with ours: output and instruction count."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quantmcu_kit.boards.catalog import Board
from tests.support.libraries import run, tool

_PLUGIN = Path(__file__).with_name("qemu_count.c")
_SECONDS = 60


def _board(machine: str, cpu: str, ram_bytes: int, *, flash_start: int = 0, ram_start: int = 0x2000_0000) -> Board:
    return Board(
        id=machine,
        name=f"QEMU {machine}",
        mcu=machine,
        cpu=cpu,
        clock_mhz=25,
        ram_bytes=ram_bytes,
        flash_bytes=256 << 10 if machine == "microbit" else 4 << 20,
        core_ram_bytes=0,
        core_flash_bytes=0,
        psram_bytes=0,
        platform="qemu",
        framework="none",
        flash_start=flash_start,
        ram_start=ram_start,
    )


# Memory as in QEMU's hw/arm/mps2.c, mps2-tz.c and microbit.c. What is flash here is RAM in mps2: stores to it succeed.
AN386 = _board("mps2-an386", "cortex-m4f", 4 << 20)
AN385 = _board("mps2-an385", "cortex-m3", 4 << 20)
AN500 = _board("mps2-an500", "cortex-m7", 4 << 20)
AN505 = _board("mps2-an505", "cortex-m33", 2 << 20, flash_start=0x1000_0000, ram_start=0x3800_0000)  # secure addresses
MICROBIT = _board("microbit", "cortex-m0plus", 16 << 10)  # a Cortex-M0, which has the same instructions
BOARDS = (AN386, AN385, AN500, AN505, MICROBIT)


@dataclass(frozen=True)
class QemuRun:
    """What a program did under QEMU.

    Attributes:
        output: what it wrote to the console.
        errors: what it printed with SYS_WRITE0, which is how the start-up code reports an exception.
        instructions: all that were executed, those that an IT block skips included.
    """

    output: bytes
    errors: bytes
    exit_code: int
    instructions: int


def build_counter(folder: Path) -> Path:
    """The plugin that counts; skips the test without QEMU or a compiler for this PC."""
    target = folder / "count.so"
    version = f"-DPLUGIN_VERSION={1 if _major_version(tool('qemu-system-arm')) < 9 else 2}"
    flags: Sequence[str] = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", version)
    run(tool("cc"), *flags, "-o", target, _PLUGIN)
    return target


def run_on_qemu(board: Board, elf: Path, counter: Path, stdin: bytes = b"") -> QemuRun:
    """Run a program to its exit; the console is standard input and output."""
    count, console = elf.with_suffix(".count"), elf.with_suffix(".stdin")
    console.write_bytes(stdin)  # a pipe gives what it holds, so that programs read in more or fewer steps
    command = [tool("qemu-system-arm"), "-M", board.id, *"-display none -monitor none -serial none".split()]
    command += ["-semihosting-config", "enable=on,target=native", "-plugin", f"{counter},out={count}"]
    with console.open("rb") as file:
        result = subprocess.run([*command, "-kernel", str(elf)], stdin=file, capture_output=True, timeout=_SECONDS)
    return QemuRun(result.stdout, result.stderr, result.returncode, int(count.read_text()))


@functools.cache
def _major_version(qemu: str) -> int:
    return int(re.search(r"version (\d+)", run(qemu, "--version"))[1])
