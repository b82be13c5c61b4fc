"""Cross-compilers, and QEMU's machines for what they compile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from quantmcu_kit.emulate.firmware import MemoryMap
from quantmcu_kit.emulate.toolchain import Toolchain
from tests.support.libraries import tool
from tests.support.qemu import BOARDS

STACK = 2048
_BOARDS = {board.cpu: board for board in BOARDS}
_RAM = 16 * 1024  # all machines have as much
_SECONDS = 60


def cross_compiler(kind: str) -> Toolchain:
    """A compiler of this kind; skips where it is absent."""
    if kind == "zig":
        pytest.importorskip("ziglang")
        return Toolchain((sys.executable, "-m", "ziglang", "cc"), "zig", "")
    return Toolchain((tool("arm-none-eabi-gcc"),), "gcc", "")


def qemu_memory(core: str) -> MemoryMap:
    """The memory of a small program on QEMU's machine with this core."""
    board = _BOARDS[core]
    return MemoryMap(board.flash_start, board.flash_bytes, board.ram_start, _RAM, STACK)


def run_program(program: Path, core: str) -> tuple[int, str]:
    """Exit code and console output on QEMU; skips where QEMU is absent."""
    alone = ["-display", "none", "-monitor", "none", "-serial", "none"]
    console = ["-chardev", "stdio,id=c", "-semihosting-config", "enable=on,target=native,chardev=c"]
    command = [tool("qemu-system-arm"), "-M", _BOARDS[core].id, *alone, *console, "-kernel", str(program)]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS)
    return result.returncode, result.stdout
