"""Compiles a generated library for an Xtensa, a RISC-V and a big-endian MIPS core, and runs it there on many inputs.

The Xtensa is QEMU's, the others are unicorn's. Inputs pass through standard input and outputs through standard output.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from quantmcu_kit.verify.contents import read_manifest
from tests.support.libraries import run, sources, tool
from tests.support.other_cores.network import (
    input_bytes,
    network_header,
    output_bytes,
    pixel_rows,
    quantized_rows,
    split_outputs,
)

_FOLDER = Path(__file__).parent
_FLAGS = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib")
_SECONDS = 100  # for all inputs of one call
_ALIGNMENT_FAULT = 109  # exit code; see xtensa_start.S


@dataclass(frozen=True)
class OtherCore:
    """A core: how it is called, how a program for it is compiled, which command runs one.

    Attributes:
        compiler: gives the first words of the command that compiles; skips the test where it is missing.
        flags: of the compiler, after the sources.
        own_sources: start-up code, in this folder.
        emulator: the command that runs a program; takes its path and the bytes of one input and one output.
    """

    name: str
    compiler: Callable[[], list[object]]
    flags: tuple[str, ...]
    own_sources: tuple[str, ...]
    emulator: Callable[[Path, int, int], list[object]]

    def __str__(self) -> str:
        return self.name


def _zig() -> list[object]:
    pytest.importorskip("ziglang")
    return [sys.executable, "-m", "ziglang", "cc"]


def _qemu_xtensa(elf: Path, _input_bytes: int, _output_bytes: int) -> list[object]:
    machine = ("-M", "sim", "-cpu", "lx106", "-m", "16M", "-semihosting")
    return [tool("qemu-system-xtensa"), *machine, *"-display none -monitor none -serial none".split(), "-kernel", elf]


def _unicorn(core: str) -> Callable[[Path, int, int], list[object]]:
    def emulator(elf: Path, input_bytes: int, output_bytes: int) -> list[object]:
        pytest.importorskip("unicorn")
        pytest.importorskip("elftools")
        return [sys.executable, _FOLDER / "unicorn_core.py", core, elf, input_bytes, output_bytes]

    return emulator


_ZIG_FLAGS = ("-fno-sanitize=undefined", "-Wl,--no-gc-sections", f"-Wl,-T,{_FOLDER / 'plain.ld'}")

XTENSA = OtherCore(
    name="xtensa",  # the lx106 of an ESP8266: little-endian, call0 ABI
    compiler=lambda: [tool("xtensa-lx106-elf-gcc")],
    flags=("-mlongcalls", "-Wl,-n,--no-warn-rwx-segments", f"-Wl,-T,{_FOLDER / 'xtensa.ld'}", "-lgcc"),
    own_sources=("xtensa_start.S", "xtensa_main.c", "xtensa_rom.c"),
    emulator=_qemu_xtensa,
)
RISCV = OtherCore(
    name="riscv",  # RV32IM: no compressed instructions, no atomics, no floating point
    compiler=_zig,
    flags=("-target", "riscv32-freestanding-none", "-mcpu=generic_rv32+m", *_ZIG_FLAGS),
    own_sources=(),
    emulator=_unicorn("riscv"),
)
MIPS = OtherCore(
    name="big-endian-mips",
    compiler=_zig,
    flags=(
        *("-target", "mips-freestanding-eabi", "-mcpu=mips32r2", "-msoft-float", "-fno-pic", "-mno-abicalls"),
        *_ZIG_FLAGS,
    ),
    own_sources=(),
    emulator=_unicorn("big-endian-mips"),
)


class Program:
    """A library compiled for a core; skips the test where a tool is missing.

    Args:
        library: folder of the library.
        folder: where to build.
    """

    def __init__(self, core: OtherCore, library: Path, folder: Path) -> None:
        self._manifest = read_manifest(library)
        elf = folder / "network.elf"
        self._command = core.emulator(elf, input_bytes(self._manifest), output_bytes(self._manifest))
        (folder / "network.h").write_text(network_header(self._manifest))
        includes = [part for include in (folder, library / "src", _FOLDER) for part in ("-I", include)]
        own = [_FOLDER / name for name in ("network.c", "string.c", *core.own_sources)]
        run(*core.compiler(), *_FLAGS, *includes, *own, *sources(library), *core.flags, "-o", elf)

    def run(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """int8 outputs [n, ...] per port of quantized inputs: int8 [n, ...] per port."""
        return self._outputs(quantized_rows(inputs))

    def run_pixels(self, pixels: np.ndarray) -> tuple[np.ndarray, ...]:
        """int8 outputs [n, ...] per port of pictures: uint8 [n, h, w, channels]."""
        assert self._manifest.takes_pixels
        return self._outputs(pixel_rows(pixels))

    def load_unaligned(self) -> bool:
        """Whether a load of 32 bits from an odd address works; the program tries it after an input of one byte."""
        return self._start(b"?").returncode != _ALIGNMENT_FAULT

    def _outputs(self, rows: Sequence[bytes]) -> tuple[np.ndarray, ...]:
        result = self._start(b"".join(rows))
        assert result.returncode == 0, f"ended with {result.returncode}: {result.stderr.decode(errors='replace')}"
        return split_outputs(self._manifest, result.stdout, len(rows))

    def _start(self, stdin: bytes) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([*map(str, self._command)], input=stdin, capture_output=True, timeout=_SECONDS)
