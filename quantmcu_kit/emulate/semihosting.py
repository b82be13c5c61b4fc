"""Arm semihosting: the firmware's console, clock and exit, through the breakpoint instruction BKPT 0xAB.

Source: Arm, "Semihosting for AArch32 and AArch64", 2.0. QEMU and debug probes serve the same calls, so one program runs
here, there and under a debugger. Files of the PC are not served.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Protocol

BREAKPOINT = b"\xab\xbe"
EXIT_OK = 0x20026  # ADP_Stopped_ApplicationExit
_CONSOLE = b":tt"
_STDIN, _STDOUT, _STDERR = 1, 2, 3
_FAILURE = 0xFFFFFFFF
_LONGEST_TEXT = 1 << 16


class Target(Protocol):
    """What the calls need of the machine."""

    def read(self, address: int, size: int) -> bytes:
        """Memory of the board."""

    def write(self, address: int, data: bytes) -> None:
        """Memory of the board."""

    @property
    def elapsed_cycles(self) -> int:
        """Modelled cycles since the start."""

    @property
    def clock_hz(self) -> int:
        """Of the core."""


class Exit(Exception):
    """The program ended with this exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Semihosting:
    """Serves the calls of one run.

    Args:
        stdin: what the program reads.
        output: called with what it writes, as it writes it.
    """

    def __init__(self, target: Target, stdin: bytes, output: Callable[[bytes], None]) -> None:
        self._target = target
        self._stdin = memoryview(stdin)
        self._output = output
        self._calls: dict[int, Callable[[int], int]] = {
            0x01: self._open,
            0x02: lambda _: 0,  # SYS_CLOSE
            0x03: self._write_character,
            0x04: self._write_text,
            0x05: self._write,
            0x06: self._read,
            0x07: self._read_character,
            0x08: lambda block: int(self._words(block, 1)[0] >> 31),  # SYS_ISERROR
            0x09: lambda _: 1,  # SYS_ISTTY
            0x0A: lambda _: _FAILURE,  # SYS_SEEK: a console has no position
            0x0C: lambda _: 0,  # SYS_FLEN
            0x10: lambda _: self._target.elapsed_cycles * 100 // self._target.clock_hz,  # SYS_CLOCK, in 1/100 s
            0x11: lambda _: 0,  # SYS_TIME: a run does not depend on the day
            0x13: lambda _: 0,  # SYS_ERRNO
            0x15: self._command_line,
            0x16: self._heap,
            0x18: self._exit,
            0x20: self._exit_extended,
            0x30: self._elapsed,
            0x31: lambda _: self._target.clock_hz,  # SYS_TICKFREQ
        }

    def call(self, operation: int, parameter: int) -> int:
        """The value for r0; raises :class:`Exit` where the program ends."""
        serve = self._calls.get(operation)
        return serve(parameter) & 0xFFFFFFFF if serve else _FAILURE

    def _words(self, address: int, count: int) -> tuple[Any, ...]:
        return struct.unpack(f"<{count}I", self._target.read(address, 4 * count))

    def _open(self, block: int) -> int:
        name, mode, length = self._words(block, 3)
        if self._target.read(name, min(length, 16)) != _CONSOLE:
            return _FAILURE
        return _STDIN if mode < 4 else _STDOUT if mode < 8 else _STDERR

    def _write_character(self, address: int) -> int:
        self._output(self._target.read(address, 1))
        return 0

    def _write_text(self, address: int) -> int:
        text = bytearray()
        while len(text) < _LONGEST_TEXT and (byte := self._target.read(address + len(text), 1)) != b"\0":
            text += byte
        self._output(bytes(text))
        return 0

    def _write(self, block: int) -> int:
        _, address, size = self._words(block, 3)
        self._output(self._target.read(address, size))
        return 0

    def _read(self, block: int) -> int:
        """Bytes that were NOT read."""
        handle, address, size = self._words(block, 3)
        if handle not in (0, _STDIN):
            return size
        data, self._stdin = self._stdin[:size], self._stdin[size:]
        self._target.write(address, bytes(data))
        return size - len(data)

    def _read_character(self, _: int) -> int:
        data, self._stdin = self._stdin[:1], self._stdin[1:]
        return data[0] if data else _FAILURE

    def _command_line(self, block: int) -> int:
        address, _ = self._words(block, 2)
        self._target.write(address, b"\0")
        self._target.write(block + 4, struct.pack("<I", 0))
        return 0

    def _heap(self, parameter: int) -> int:
        """Heap and stack as the linker script has them: all four addresses unknown."""
        (block,) = self._words(parameter, 1)
        self._target.write(block, bytes(16))
        return 0

    def _exit(self, reason: int) -> int:
        raise Exit(0 if reason == EXIT_OK else 1)

    def _exit_extended(self, block: int) -> int:
        reason, code = self._words(block, 2)
        raise Exit(code if reason == EXIT_OK else 1)

    def _elapsed(self, block: int) -> int:
        self._target.write(block, struct.pack("<Q", self._target.elapsed_cycles))
        return 0
