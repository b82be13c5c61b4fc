"""What went wrong on an emulated board, in words: which access, why it is one, in which line of which function."""

from __future__ import annotations

from collections.abc import Sequence

from quantmcu_kit.emulate.elf import Image, Segment
from quantmcu_kit.emulate.firmware import MemoryMap
from quantmcu_kit.errors import EXIT_FAILED, QmkitError

_EXCEPTIONS = {
    1: "an undefined instruction",
    2: "a supervisor call (SVC)",
    7: "a breakpoint that is no semihosting call",
}
_STACK_MARGIN = 4096  # an access this far below the stack's end is taken for an overflow
_PERIPHERALS = (0x40000000, 0x60000000)


class Faults:
    """Makes the errors of one program on one board."""

    def __init__(self, image: Image, core: str, memory: MemoryMap) -> None:
        self._image = image
        self._core = core
        self._memory = memory

    def refuse_outside(self, segments: Sequence[Segment]) -> None:
        """Raise ``outside-memory`` for a program that is linked to addresses which the board does not have."""
        for segment in segments:
            size = len(segment.data)
            end = segment.address + size
            if not any(start <= segment.address and end <= start + room for start, room in self._ranges.values()):
                raise QmkitError(
                    "outside-memory",
                    f"{self._image.path.name} has {size:,} bytes for 0x{segment.address:08X} to 0x{end:08X}",
                    why=f"the board has {self._describe_memory()}",
                    hint="compile it for this board: its linker script is for another one",
                )

    def access(self, kind: str, address: int, size: int, pc: int, link: int, stack_pointer: int) -> QmkitError:
        """A read, write or fetch where there is no such memory."""
        if kind == "fetch":
            return self._fault(
                f"jump to 0x{address:08X}, where there is no code",
                link - 2,
                f"a function pointer or a return address was overwritten; the board has {self._describe_memory()}",
            )
        return self._fault(
            f"{kind} of {size} byte{'s' if size > 1 else ''} at 0x{address:08X}",
            pc,
            self._why(kind, address, stack_pointer),
        )

    def console(self, address: int, size: int, pc: int) -> QmkitError:
        """A console call with a bad buffer."""
        return self._fault(f"console call with a buffer of {size} bytes at 0x{address:08X}", pc, self._outside())

    def unaligned(self, address: int, pc: int) -> QmkitError:
        """An access that the core cannot make."""
        if self._core == "cortex-m0plus":
            why = "a Cortex-M0+ faults on every access that is not aligned to its size"
        else:
            why = "loads and stores of several words fault unless they are aligned to 4 bytes"
        return self._fault(f"unaligned access at 0x{address:08X}", pc, why)

    def illegal(self, pc: int) -> QmkitError:
        """An instruction that the core does not have."""
        return self._fault(f"undefined instruction at 0x{pc:08X}", pc, f"a {self._core} does not have it")

    def exception(self, number: int, pc: int) -> QmkitError:
        """An exception other than a console call."""
        what = _EXCEPTIONS.get(number, f"exception {number}")
        return self._fault(f"{what} at 0x{pc:08X}", pc, "emulated boards have no handlers for exceptions")

    def foreign_code(self, pc: int, link: int) -> QmkitError:
        """Code runs that is not part of the program."""
        return self._fault(
            f"jump to 0x{pc:08X}, which is no code of the program",
            link - 2,
            "a function pointer or a return address was overwritten, or code was copied to RAM",
        )

    def reset(self, pc: int) -> QmkitError:
        """The program resets the board."""
        return self._fault("the program resets the board", pc, "an emulated board runs once, from reset to exit")

    def endless(self, limit: int, pc: int, clock_hz: int, cycles: int) -> QmkitError:
        """The run reached its limit."""
        return self._fault(
            f"no end after {limit:,} instructions ({cycles / clock_hz:.1f} s on the board)",
            pc,
            "the program loops, or needs a higher limit",
        )

    @property
    def _ranges(self) -> dict[str, tuple[int, int]]:
        memory = self._memory
        return {"flash": (memory.flash_start, memory.flash_bytes), "RAM": (memory.ram_start, memory.ram_bytes)}

    def _describe_memory(self) -> str:
        return " and ".join(
            f"{name} from 0x{start:08X} to 0x{start + size:08X}" for name, (start, size) in self._ranges.items()
        )

    def _outside(self) -> str:
        return f"a program has {self._describe_memory()}"

    def _why(self, kind: str, address: int, stack_pointer: int) -> str:
        memory = self._memory
        if memory.flash_start <= address < memory.flash_start + memory.flash_bytes:
            return "flash cannot be written"
        if stack_pointer < memory.ram_start + 64 and memory.ram_start - _STACK_MARGIN <= address < memory.ram_start:
            return (
                f"the stack of {memory.stack_bytes:,} bytes is full: it lies at the start of RAM, and this is below it"
            )
        if 0 <= address - (memory.ram_start + memory.ram_bytes) < _STACK_MARGIN:
            return "it lies past the end of RAM, which is where the arena ends"
        if address < 4096 and memory.flash_start > 0:
            return "a null pointer, or an index from one"
        if _PERIPHERALS[0] <= address < _PERIPHERALS[1]:
            return "peripherals are not emulated: a program has the core, its memory and a console"
        return self._outside()

    def _fault(self, message: str, pc: int, why: str) -> QmkitError:
        return QmkitError(
            "board-fault",
            message,
            where=f"{self._image.place(pc & ~1)} (pc 0x{pc & ~1:08X})",
            why=why,
            exit_code=EXIT_FAILED,
        )
