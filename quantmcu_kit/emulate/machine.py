"""An emulated board: one core with the board's flash and RAM, its console, and modelled cycles.

Instructions are executed by unicorn (QEMU's translator as a library); time comes from the tables in ``timing/``. Memory
is mapped as the board has it, so an access beyond it is a fault with address, function and source line. What the
translator is lenient about and a core is not (alignment, instructions that the core lacks) is checked here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantmcu_kit.emulate import system
from quantmcu_kit.emulate.counter import Counter, Rules, Stop, Window, make_counter
from quantmcu_kit.emulate.elf import Image
from quantmcu_kit.emulate.faults import Faults
from quantmcu_kit.emulate.firmware import CAMERA_START, MemoryMap
from quantmcu_kit.emulate.flash import FlashWaits
from quantmcu_kit.emulate.semihosting import BREAKPOINT, Exit, Semihosting
from quantmcu_kit.emulate.timing import Divide, analyse, divide_extra
from quantmcu_kit.emulate.unicorn_names import import_unicorn
from quantmcu_kit.errors import QmkitError

PAINT = 0xA5  # RAM before the start: real RAM is not zero either, and painted stack tells how deep it was used
_WORD = 4  # bytes
_RETURN_PAGE = 0xFFFFF000  # where an exception returns to; nothing is mapped there
_MODELS = {
    "cortex-m0plus": "UC_CPU_ARM_CORTEX_M0",
    "cortex-m3": "UC_CPU_ARM_CORTEX_M3",
    "cortex-m4f": "UC_CPU_ARM_CORTEX_M4",
    "cortex-m7": "UC_CPU_ARM_CORTEX_M7",
    "cortex-m33": "UC_CPU_ARM_CORTEX_M33",
}
_VECTORS = (".vectors", ".isr_vector", ".interrupts")


@dataclass(frozen=True)
class Layers:
    """How cycles are told apart by layer.

    Attributes:
        numbers: layer number from 1 by the name of the constant that the layer's kernel gets as its first argument,
            or an element of it.
        source: ``folder/file.c`` of the code that calls the kernels.
    """

    numbers: Mapping[str, int]
    source: str


@dataclass(frozen=True, eq=False)
class Run:
    """What a program did.

    Attributes:
        output: all that it printed.
        cycles, instructions: from reset to exit.
        functions: (name, cycles of its own instructions), most first.
        layer_cycles: by layer number; [0] is what belongs to no layer. Layers accumulate over calls.
        stack_bytes: deepest use of the stack; None for a program that does not say where its stack lies.
        unaligned: accesses that the core splits in two; counted where accesses are checked.
    """

    output: bytes
    exit_code: int
    cycles: int
    instructions: int
    functions: tuple[tuple[str, int], ...]
    layer_cycles: tuple[int, ...]
    stack_bytes: int | None
    unaligned: int


class Machine:
    """A board on which a program can be run, each time from reset.

    Args:
        image: the program.
        core: such as ``cortex-m4f``.
        memory: where flash and RAM lie and what a program has of them.
        clock_hz: of the core.
        layers: tells cycles apart by layer.
        flash_waits: how the flash makes the core wait; None for flash without waits.
        check_accesses: look at every load and store: alignment, exact reads of the cycle counter.
        native: count in C where a compiler is found.
    Raises:
        QmkitError: ``emulator-missing``, ``outside-memory`` or ``unknown-core``.
    """

    def __init__(
        self,
        image: Image,
        core: str,
        memory: MemoryMap,
        *,
        clock_hz: int,
        layers: Layers | None = None,
        flash_waits: FlashWaits | None = None,
        check_accesses: bool = True,
        native: bool = True,
    ) -> None:
        self._unicorn = import_unicorn()
        self._image = image
        self._core = core
        self._memory = memory
        self.clock_hz = clock_hz
        self._flash_waits = flash_waits
        self._check_accesses = check_accesses or flash_waits is not None
        self._native = native
        self._faults = Faults(image, core, memory)
        self._faults.refuse_outside(image.segments)
        self._windows, self._divides = _windows(image, core, layers.source if layers else "")
        self._layer_constants = _layer_constants(image, layers)

    def run(self, stdin: bytes = b"", *, limit: int = 1 << 62, output: Callable[[bytes], None] | None = None) -> Run:
        """Run from reset to exit.

        Args:
            stdin: what the program reads from its console.
            limit: most instructions.
            output: called with what the program prints, as it prints it.
        Raises:
            QmkitError: ``board-fault``, with the place in the program.
        """
        return _Session(self, stdin, limit, output).run()


class _Session:
    """One run: the emulator's state, and what serves it."""

    def __init__(self, machine: Machine, stdin: bytes, limit: int, output: Callable[[bytes], None] | None) -> None:
        self._machine = machine
        self._const = machine._unicorn
        self._printed: list[bytes] = []
        self._listener = output
        memory = machine._memory
        self._counter: Counter = make_counter(
            machine._windows,
            Rules(
                layers=machine._layer_constants,
                limit=limit,
                flash=(memory.flash_start, memory.flash_start + memory.flash_bytes),
                flash_waits=machine._flash_waits,
                strict_alignment=machine._core == "cortex-m0plus",
            ),
            machine._native,
        )
        self._limit = limit
        self._uc = self._power_up()
        self._registers = system.SystemRegisters(machine._core, self._cycles_now)
        self._semihosting = Semihosting(self, stdin, self._print)
        self._exit_code: int | None = None
        self._error: QmkitError | None = None
        self._invalid: tuple[int, int, int, int] | None = None  # kind of access, address, bytes, pc
        self._breakpoint: tuple[int, int] | None = None  # number of the exception, PC
        self._attach()

    def run(self) -> Run:
        """Run to the end."""
        const = self._const
        stack, entry = self._vectors()
        self._uc.reg_write(const.arm.UC_ARM_REG_SP, stack)
        self._uc.reg_write(const.arm.UC_ARM_REG_LR, 0xFFFFFFFF)
        failure, resume = None, entry
        while resume is not None and failure is None:
            self._breakpoint = None
            try:
                self._uc.emu_start(resume | 1, _RETURN_PAGE)
            except const.UcError as error:
                failure = error
            resume = self._serve(self._breakpoint) if failure is None and self._breakpoint is not None else None
        self._raise_fault(failure)
        assert self._exit_code is not None, "a run ends by its exit or by a fault"
        return Run(
            output=b"".join(self._printed),
            exit_code=self._exit_code,
            cycles=self._counter.cycles,
            instructions=self._counter.instructions,
            functions=_by_function(self._machine._image, self._counter.spent()),
            layer_cycles=tuple(int(cycles) for cycles in self._counter.layer_cycles),
            stack_bytes=self._stack_used(),
            unaligned=self._counter.unaligned,
        )

    # What semihosting needs.

    def read(self, address: int, size: int) -> bytes:
        """Memory of the board; a fault where there is none."""
        try:
            return bytes(self._uc.mem_read(address, size))
        except self._const.UcError:
            raise self._machine._faults.console(address, size, self._pc) from None

    def write(self, address: int, data: bytes) -> None:
        """RAM of the board, or what its camera writes; a fault where there is neither."""
        memory = self._machine._memory
        writable = ((memory.ram_start, memory.ram_bytes), (CAMERA_START, memory.camera_bytes))
        if not any(start <= address <= address + len(data) <= start + room for start, room in writable):
            raise self._machine._faults.console(address, len(data), self._pc)
        self._uc.mem_write(address, data)

    @property
    def elapsed_cycles(self) -> int:
        """Cycles before the call that is being served; a breakpoint ends its block."""
        return self._counter.cycles

    @property
    def clock_hz(self) -> int:
        """Of the core."""
        return self._machine.clock_hz

    # Set-up.

    def _power_up(self) -> Any:
        """Memory as after reset: the program in flash, RAM painted."""
        const, memory = self._const, self._machine._memory
        uc = const.Uc(const.UC_ARCH_ARM, const.UC_MODE_THUMB | const.UC_MODE_MCLASS)
        uc.ctl_set_cpu_model(getattr(const.arm, _MODELS[self._machine._core]))
        uc.mem_map(memory.flash_start, memory.flash_bytes, const.UC_PROT_READ | const.UC_PROT_EXEC)
        uc.mem_map(memory.ram_start, memory.ram_bytes, const.UC_PROT_ALL)
        uc.mem_write(memory.ram_start, bytes([PAINT]) * memory.ram_bytes)
        if memory.camera_bytes:
            uc.mem_map(CAMERA_START, memory.camera_bytes, const.UC_PROT_READ)
        for segment in self._machine._image.segments:
            uc.mem_write(segment.address, segment.data)
        return uc

    def _attach(self) -> None:
        const, uc = self._const, self._uc
        for page in (system.DWT, system.SCS):
            uc.mmio_map(page, system.PAGE, self._read_register, page, self._write_register, page)
        uc.hook_add(const.UC_HOOK_INTR, self._on_interrupt)
        uc.hook_add(const.UC_HOOK_MEM_INVALID, self._on_invalid)
        self._counter.attach(uc, self._machine._check_accesses)
        for divide in self._machine._divides:
            uc.hook_add(const.UC_HOOK_CODE, self._on_divide, divide, divide.address, divide.address)

    def _vectors(self) -> tuple[int, int]:
        """Initial stack pointer and entry, from the start of the vector table."""
        section = self._machine._image.section(*_VECTORS)
        address = section.address if section else self._machine._memory.flash_start
        return struct.unpack("<II", self.read(address, 8))

    # Hooks.

    @property
    def _pc(self) -> int:
        return self._uc.reg_read(self._const.arm.UC_ARM_REG_PC)

    def _cycles_now(self) -> int:
        """Cycles before the instruction that runs; with unchecked accesses, before its basic block."""
        return self._counter.cycles_at(self._pc)

    def _print(self, data: bytes) -> None:
        self._printed.append(data)
        if self._listener:
            self._listener(data)

    def _on_interrupt(self, uc: Any, number: int, _: object) -> None:
        """Leave the emulator: served inside a hook, a breakpoint would make its later reports of the PC stale."""
        self._breakpoint = (number, self._pc)
        uc.emu_stop()

    def _serve(self, stopped: tuple[int, int]) -> int | None:
        """A breakpoint is a semihosting call; nothing else may interrupt. The address to go on at, None at the end."""
        number, pc = stopped
        arm = self._const.arm
        try:
            if number != self._const.EXCEPTION_BREAKPOINT or self.read(pc, 2) != BREAKPOINT:
                raise self._machine._faults.exception(number, pc)
            parameters = (self._uc.reg_read(arm.UC_ARM_REG_R0), self._uc.reg_read(arm.UC_ARM_REG_R1))
            self._uc.reg_write(arm.UC_ARM_REG_R0, self._semihosting.call(*parameters))
            return pc + len(BREAKPOINT)
        except Exit as ended:
            self._exit_code = ended.code
        except QmkitError as error:
            self._error = error
        return None

    def _on_invalid(self, uc: Any, kind: int, address: int, size: int, value: int, _: object) -> bool:
        self._invalid = (kind, address, size, self._pc)  # afterwards, the PC within an IT block is lost
        return False

    def _on_divide(self, uc: Any, address: int, size: int, divide: Divide) -> None:
        arm = self._const.arm
        dividend, divisor = (
            uc.reg_read(arm.UC_ARM_REG_R0 + register) for register in (divide.dividend, divide.divisor)
        )
        self._counter.spend(divide_extra(self._machine._core, dividend, divisor, divide.signed))

    def _read_register(self, uc: Any, offset: int, size: int, page: int) -> int:
        return self._registers.read(page + offset)

    def _write_register(self, uc: Any, offset: int, size: int, value: int, page: int) -> None:
        self._registers.write(page + offset, value)
        if self._registers.reset_requested:
            self._error = self._machine._faults.reset(self._pc)
            uc.emu_stop()

    # The end.

    def _raise_fault(self, failure: Any) -> None:
        """The fault that ended the run, if one did."""
        faults, counter, arm = self._machine._faults, self._counter, self._const.arm
        if self._error:
            raise self._error
        pc, link = self._pc, self._uc.reg_read(arm.UC_ARM_REG_LR)
        if counter.stop_reason is Stop.LIMIT:
            raise faults.endless(self._limit, counter.stop_pc, self._machine.clock_hz, counter.cycles)
        if counter.stop_reason is Stop.UNALIGNED:
            raise faults.unaligned(counter.stop_address, counter.stop_pc)
        if counter.stop_reason is Stop.ILLEGAL:
            raise faults.illegal(self._illegal_from(counter.stop_pc))
        if counter.stop_reason is Stop.FOREIGN_CODE:
            raise faults.foreign_code(counter.stop_pc, link)
        if self._invalid:
            kind, address, size, pc = self._invalid
            raise faults.access(self._const.access_name(kind), address, size, pc, link, self._stack_pointer)
        if failure is not None:
            raise faults.illegal(pc)
        if self._exit_code is None:
            raise faults.foreign_code(pc, link)

    @property
    def _stack_pointer(self) -> int:
        return self._uc.reg_read(self._const.arm.UC_ARM_REG_SP)

    def _illegal_from(self, block: int) -> int:
        """The first instruction from ``block`` on that the core does not have."""
        later = [a for window in self._machine._windows for a in window.timing.illegal if a >= block]
        return min(later)

    def _stack_used(self) -> int | None:
        symbols = self._machine._image.symbols
        if not {"__stack_bottom", "__stack_top"} <= symbols.keys():
            return None
        bottom, top = symbols["__stack_bottom"], symbols["__stack_top"]
        stack = np.frombuffer(self.read(bottom, top - bottom), np.uint8)
        used = np.flatnonzero(stack != PAINT)
        return int(len(stack) - used[0]) if used.size else 0


def _windows(image: Image, core: str, network: str) -> tuple[tuple[Window, ...], tuple[Divide, ...]]:
    """Every section of code with its timing, and the divides in them."""
    windows, divides = [], []
    for section, regions in image.code:
        timing = analyse(core, section.data, section.address, regions)
        is_network = np.zeros(len(timing.cycles), np.bool_)
        for function in image.functions:
            if network and section.address <= function.start < section.address + section.size:
                if image.source_file(function.start) == network:
                    first, end = function.start - section.address, function.end - section.address
                    is_network[first // 2 : end // 2] = True
        windows.append(Window(section.address, section.data, timing, is_network))
        divides += timing.divides
    return tuple(windows), tuple(divides)


def _layer_constants(image: Image, layers: Layers | None) -> dict[int, int]:
    """Layer number by address. A constant may be an array, of one element per branch class: every word of it counts."""
    if layers is None:
        return {}
    return {
        address + offset: layers.numbers[name]
        for name, address, size in image.objects
        if name in layers.numbers
        for offset in range(0, max(size, 1), _WORD)
    }


def _by_function(image: Image, spent: Sequence[tuple[int, np.ndarray]]) -> tuple[tuple[str, int], ...]:
    """(name, cycles) of every function that ran; addresses outside of all are called by their section's address."""
    totals: dict[str, int] = {}
    for address, cycles in spent:
        for index in np.flatnonzero(cycles):
            function = image.function_at(address + 2 * int(index))
            name = function.name if function else f"0x{address:08X}"
            totals[name] = totals.get(name, 0) + int(cycles[index])
    return tuple(sorted(totals.items(), key=lambda item: (-item[1], item[0])))
