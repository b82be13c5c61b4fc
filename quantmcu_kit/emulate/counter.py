"""Adds up modelled cycles while a program runs: per basic block, in C that is compiled on first use, else in Python."""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from quantmcu_kit.emulate.flash import MOST_LINES, FlashWaits
from quantmcu_kit.emulate.timing import CodeTiming
from quantmcu_kit.errors import EXIT_ENVIRONMENT, QmkitError
from quantmcu_kit.host_compiler import find_compiler
from quantmcu_kit.user_cache import user_cache

_SOURCE = Path(__file__).with_name("counter.c")
_REGISTER_PC, _REGISTER_R0 = 11, 66  # unicorn's numbers
_FIRST_WIDE = 0xE800  # a first halfword from here on is half of a 32-bit instruction
_NO_UNIT = 0xFFFFFFFF
NO_LAYER = 0


class Stop(IntEnum):
    """Why the counter ended the run."""

    NONE = 0
    LIMIT = 1
    UNALIGNED = 2
    FOREIGN_CODE = 3
    ILLEGAL = 4


@dataclass(frozen=True, eq=False)
class Window:
    """Machine code of one section and what it costs.

    Attributes:
        address: of its first byte.
        is_network: bool per halfword: the code between the layers.
    """

    address: int
    code: bytes
    timing: CodeTiming
    is_network: np.ndarray

    @property
    def halfwords(self) -> int:
        """Length of the section."""
        return len(self.timing.cycles)


@dataclass(frozen=True)
class Rules:
    """What is counted and what ends a run.

    Attributes:
        layers: layer number from 1 by the address of the constant that the layer's kernel gets as its first argument.
        limit: most instructions.
        flash: [start, end) addresses.
        flash_waits: how the flash makes the core wait; None for flash without waits.
        strict_alignment: whether every unaligned access is a fault, as on ARMv6-M.
    """

    layers: Mapping[int, int] = field(default_factory=dict)
    limit: int = 1 << 62
    flash: tuple[int, int] = (0, 0)
    flash_waits: FlashWaits | None = None
    strict_alignment: bool = False


def _prefix(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(values, dtype=np.uint64)]).astype(np.uint64)


def _marked(window: Window, addresses: Sequence[int]) -> np.ndarray:
    """1 at these instructions, per halfword."""
    marks = np.zeros(window.halfwords, np.uint8)
    marks[[(address - window.address) // 2 for address in addresses]] = 1
    return marks


def _conditional(window: Window) -> np.ndarray:
    """1 at IT instructions and at those that they govern, per halfword."""
    marks = np.zeros(window.halfwords, np.uint8)
    halfwords = np.frombuffer(window.code, "<u2", window.halfwords)
    starts = np.flatnonzero(window.timing.instructions)
    opcodes = halfwords[starts]
    is_it = (opcodes & 0xFF00 == 0xBF00) & (opcodes & 0xF != 0)
    for position in np.flatnonzero(is_it):
        mask = int(opcodes[position]) & 0xF
        governed = 4 - ((mask & -mask).bit_length() - 1)
        marks[starts[position : position + 1 + governed]] = 1
    return marks


class _Arrays:
    """A window's arrays as both counters read them."""

    def __init__(self, window: Window) -> None:
        timing = window.timing
        count = window.halfwords
        self.address = window.address
        self.cycles_before = _prefix(timing.cycles)
        self.instructions_before = _prefix(timing.instructions)
        self.entry_extra = np.ascontiguousarray(timing.entry_extra, np.int8)
        self.taken_extra = np.zeros(count + 1, np.uint8)
        starts = np.flatnonzero(timing.instructions)
        halfwords = np.frombuffer(window.code, "<u2", count)
        ends = starts + np.where(halfwords[starts] >= _FIRST_WIDE, 2, 1)
        self.taken_extra[np.minimum(ends, count)] = timing.taken_extra[starts]
        self.multiword = _marked(window, timing.multiword)
        self.conditional_before = _prefix(_conditional(window))
        self.illegal_before = _prefix(_marked(window, timing.illegal))
        self.is_network = np.ascontiguousarray(window.is_network, np.uint8)
        self.spent = np.zeros(count, np.uint64)


class PythonCounter:
    """The counter in Python: slower by an order of magnitude, and blind to alignment and to flash that waits.

    Attributes:
        cycles, instructions: so far; both include the whole of the block that runs.
        layer_cycles: by layer number; [0] is what belongs to no layer.
    """

    def __init__(self, windows: Sequence[Window], rules: Rules) -> None:
        self._arrays = [_Arrays(window) for window in windows]
        self._rules = rules
        self.cycles = self.instructions = 0
        self.unaligned = 0
        self.layer_cycles = np.zeros(max(rules.layers.values(), default=0) + 1, np.uint64)
        self.stop_reason, self.stop_address, self.stop_pc = Stop.NONE, 0, 0
        self._layer = NO_LAYER
        self._next = -1
        self._pending = 0
        self._after_network = False
        self._block: tuple[_Arrays, int, int] | None = None

    def attach(self, uc: Any, check_accesses: bool) -> None:
        """Count on this emulator. Accesses are not checked."""
        from unicorn import UC_HOOK_BLOCK

        uc.hook_add(UC_HOOK_BLOCK, self._on_block)

    def spend(self, cycles: int) -> None:
        """Cycles that depend on operands, charged to the block that runs."""
        self.cycles += cycles
        self.layer_cycles[self._layer] += np.uint64(cycles)
        if self._block is not None:
            arrays, start, _ = self._block
            arrays.spent[start] += np.uint64(cycles)

    def cycles_at(self, pc: int) -> int:
        """Cycles before the instruction at ``pc``, which lies in the block that runs."""
        if self._block is None:
            return self.cycles
        arrays, _, end = self._block
        index = (pc - arrays.address) // 2
        return self.cycles - int(arrays.cycles_before[end] - arrays.cycles_before[index])

    def spent(self) -> list[tuple[int, np.ndarray]]:
        """(address of a section, cycles of the blocks by the halfword where they start)."""
        return [(arrays.address, arrays.spent) for arrays in self._arrays]

    def _on_block(self, uc: Any, address: int, size: int, _: object) -> None:
        arrays = next((a for a in self._arrays if 0 <= address - a.address < 2 * len(a.spent)), None)
        if arrays is None:
            self._stop(uc, Stop.FOREIGN_CODE, address)
            return
        start = (address - arrays.address) // 2
        end = min(start + size // 2, len(arrays.spent))
        is_network = bool(arrays.is_network[start])
        if is_network:
            self._layer = NO_LAYER
        elif self._after_network and self._rules.layers:
            self._layer = self._rules.layers.get(uc.reg_read(_REGISTER_R0), NO_LAYER)
        self._after_network = is_network
        self._block = (arrays, start, end)
        cost = int(arrays.cycles_before[end]) - int(arrays.cycles_before[start])
        if address != self._next:
            cost += self._pending + int(arrays.entry_extra[start])
        self._next = address + size
        self._pending = int(arrays.taken_extra[end])
        self.spend(cost)
        self.instructions += int(arrays.instructions_before[end]) - int(arrays.instructions_before[start])
        if arrays.illegal_before[end] != arrays.illegal_before[start]:
            self._stop(uc, Stop.ILLEGAL, address)
        elif self.instructions > self._rules.limit:
            self._stop(uc, Stop.LIMIT, address)

    def _stop(self, uc: Any, reason: Stop, address: int) -> None:
        self.stop_reason, self.stop_address, self.stop_pc = reason, address, address
        uc.emu_stop()


class _WindowStruct(ctypes.Structure):
    _fields_ = [
        ("address", ctypes.c_uint32),
        ("halfwords", ctypes.c_uint32),
        ("cycles_before", ctypes.c_void_p),
        ("instructions_before", ctypes.c_void_p),
        ("illegal_before", ctypes.c_void_p),
        ("conditional_before", ctypes.c_void_p),
        ("entry_extra", ctypes.c_void_p),
        ("taken_extra", ctypes.c_void_p),
        ("multiword", ctypes.c_void_p),
        ("is_network", ctypes.c_void_p),
        ("spent", ctypes.c_void_p),
    ]


class _CacheStruct(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_uint32) for name in ("lines", "clock", "last_unit")),
        *((name, ctypes.c_uint32 * MOST_LINES) for name in ("line", "used", "filled")),
    ]


class _CounterStruct(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("reg_read", "reg_write", "stop")),
        *((name, ctypes.c_uint64) for name in ("cycles", "instructions", "limit", "unaligned")),
        *((name, ctypes.c_uint32) for name in ("windows", "next_address", "layer", "previous_is_network")),
        *((name, ctypes.c_uint32) for name in ("flash_start", "flash_end", "wait_states")),
        *((name, ctypes.c_uint32) for name in ("unit_bytes", "line_bytes", "strict_alignment")),
        *((name, ctypes.c_uint32) for name in ("stop_reason", "stop_address", "stop_pc", "pending")),
        *((name, ctypes.c_uint32) for name in ("block_window", "block_start", "block_end", "keys")),
        ("block_is_conditional", ctypes.c_int32),
        *((name, ctypes.c_void_p) for name in ("key_address", "key_layer", "layer_cycles", "window")),
        ("code", _CacheStruct),
        ("data", _CacheStruct),
    ]


class NativeCounter:
    """The counter of counter.c. Attributes as of :class:`PythonCounter`."""

    def __init__(self, library: ctypes.CDLL, windows: Sequence[Window], rules: Rules) -> None:
        self._library = library
        self._arrays = [_Arrays(window) for window in windows]
        self._window_structs = (_WindowStruct * len(windows))(*map(_window_struct, self._arrays))
        addresses = sorted(rules.layers)
        waits = rules.flash_waits or FlashWaits(0)
        self._key_address = np.array(addresses, np.uint32)
        self._key_layer = np.array([rules.layers[address] for address in addresses], np.uint32)
        self.layer_cycles = np.zeros(max(rules.layers.values(), default=0) + 1, np.uint64)
        self._struct = _CounterStruct(
            limit=rules.limit,
            windows=len(windows),
            next_address=1,  # no block starts at an odd address
            flash_start=rules.flash[0],
            flash_end=rules.flash[1],
            wait_states=waits.wait_states,
            unit_bytes=waits.read_bytes,
            line_bytes=waits.line_bytes,
            strict_alignment=rules.strict_alignment,
            keys=len(addresses),
            key_address=self._key_address.ctypes.data,
            key_layer=self._key_layer.ctypes.data,
            layer_cycles=self.layer_cycles.ctypes.data,
            window=ctypes.addressof(self._window_structs),
            code=_CacheStruct(lines=waits.code_lines, last_unit=_NO_UNIT),
            data=_CacheStruct(lines=waits.data_lines, last_unit=_NO_UNIT),
        )

    def attach(self, uc: Any, check_accesses: bool) -> None:
        """Count on this emulator; with ``check_accesses``, look at every load and store too."""
        from unicorn import UC_HOOK_BLOCK, UC_HOOK_MEM_READ, UC_HOOK_MEM_WRITE
        from unicorn.unicorn_py3 import unicorn as binding

        native = binding.uclib
        self._struct.reg_read = ctypes.cast(native.uc_reg_read, ctypes.c_void_p).value
        self._struct.reg_write = ctypes.cast(native.uc_reg_write, ctypes.c_void_p).value
        self._struct.stop = ctypes.cast(native.uc_emu_stop, ctypes.c_void_p).value
        hooks = [(UC_HOOK_BLOCK, self._library.qmkit_on_block)]
        if check_accesses:
            hooks.append((UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, self._library.qmkit_on_access))
        for kind, function in hooks:
            handle = ctypes.c_size_t()
            status = native.uc_hook_add(
                uc._uch,
                ctypes.byref(handle),
                ctypes.c_int(kind),
                ctypes.cast(function, ctypes.c_void_p),
                ctypes.c_void_p(ctypes.addressof(self._struct)),
                ctypes.c_uint64(1),  # an empty range: everywhere
                ctypes.c_uint64(0),
            )
            assert status == 0, f"unicorn refused a hook: {status}"

    cycles = property(lambda self: int(self._struct.cycles))
    instructions = property(lambda self: int(self._struct.instructions))
    unaligned = property(lambda self: int(self._struct.unaligned))
    stop_reason = property(lambda self: Stop(self._struct.stop_reason))
    stop_address = property(lambda self: int(self._struct.stop_address))
    stop_pc = property(lambda self: int(self._struct.stop_pc))

    def spend(self, cycles: int) -> None:
        """Cycles that depend on operands, charged to the block that runs."""
        self._struct.cycles += cycles
        self.layer_cycles[self._struct.layer] += np.uint64(cycles)
        self._arrays[self._struct.block_window].spent[self._struct.block_start] += np.uint64(cycles)

    def cycles_at(self, pc: int) -> int:
        """Cycles before the instruction at ``pc``, which lies in the block that runs."""
        arrays = self._arrays[self._struct.block_window]
        index = (pc - arrays.address) // 2
        return self.cycles - int(arrays.cycles_before[self._struct.block_end] - arrays.cycles_before[index])

    def spent(self) -> list[tuple[int, np.ndarray]]:
        """(address of a section, cycles of the blocks by the halfword where they start)."""
        return [(arrays.address, arrays.spent) for arrays in self._arrays]


def _window_struct(arrays: _Arrays) -> _WindowStruct:
    names = [name for name, _ in _WindowStruct._fields_[2:]]
    pointers = {name: getattr(arrays, name).ctypes.data for name in names}
    return _WindowStruct(address=arrays.address, halfwords=len(arrays.spent), **pointers)


Counter = NativeCounter | PythonCounter


def make_counter(windows: Sequence[Window], rules: Rules, native: bool = True) -> Counter:
    """The native counter where a C compiler is found, else the one in Python."""
    library = _native_library() if native else None
    if library is None and rules.flash_waits is not None:
        raise QmkitError(
            "compiler-missing",
            "waits for flash are counted in C, and there is no C compiler for this machine",
            why="every load is looked at, which is too slow in Python",
            hint='pip install "quantmcu-kit[emulator]", which brings one',
            exit_code=EXIT_ENVIRONMENT,
        )
    return NativeCounter(library, windows, rules) if library else PythonCounter(windows, rules)


@lru_cache
def _native_library() -> ctypes.CDLL | None:
    """counter.c, compiled once per version of it into the user's cache folder; None without a C compiler."""
    digest = hashlib.sha256(_SOURCE.read_bytes() + sys.platform.encode()).hexdigest()[:16]
    name = f"counter-{digest}{'.dll' if sys.platform == 'win32' else '.so'}"
    for folder in (user_cache("counter"), Path(tempfile.mkdtemp(prefix="qmkit-"))):
        try:
            if not (folder / name).is_file():
                _compile(folder, name)
            return ctypes.CDLL(str(folder / name))
        except (OSError, QmkitError):
            continue
    return None


def _compile(folder: Path, name: str) -> None:
    """Compile beside the final place and rename, so that no half-written library is ever loaded."""
    folder.mkdir(parents=True, exist_ok=True)
    staging = folder / f".{os.getpid()}-{name}"
    find_compiler().compile([_SOURCE], ["-std=c99", "-O2", "-shared", "-fPIC"], staging)
    os.replace(staging, folder / name)
