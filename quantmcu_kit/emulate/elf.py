"""Reads an ELF file: what goes into flash, where code lies, which function and source line an address belongs to."""

from __future__ import annotations

import bisect
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from quantmcu_kit.errors import EXIT_ENVIRONMENT, QmkitError

_THUMB_BIT = 1


@dataclass(frozen=True)
class Segment:
    """Bytes at their load address."""

    address: int
    data: bytes


@dataclass(frozen=True)
class Section:
    """A section that takes memory; ``stored`` ones lie in the file, the others are zeroed or left as they are."""

    name: str
    address: int
    data: bytes
    size: int
    is_code: bool
    is_writable: bool
    is_stored: bool


@dataclass(frozen=True)
class Function:
    """A function's addresses, [start, end)."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Sizes:
    """Bytes of a program: machine code, other constants, initialized and zeroed variables, the arena."""

    code: int
    rodata: int
    data: int
    bss: int
    arena: int


class Image:
    """A linked program for a Cortex-M core.

    Raises:
        QmkitError: ``not-an-elf``, ``wrong-architecture`` or ``emulator-missing``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        elf = _open(path)
        try:
            self.segments = tuple(
                Segment(segment["p_paddr"], segment.data())
                for segment in elf.iter_segments("PT_LOAD")
                if segment["p_filesz"]
            )
            self.sections = tuple(_section(section) for section in elf.iter_sections() if section["sh_flags"] & 2)
            self._symbols = _symbols(elf)
        except Exception as error:  # pyelftools raises many kinds on damaged files
            raise _not_an_elf(path, f"{type(error).__name__} while reading its tables") from error
        self._elf = elf

    @cached_property
    def symbols(self) -> Mapping[str, int]:
        """Addresses of named symbols; the first of equal names."""
        named: dict[str, int] = {}
        for symbol in self._symbols:
            if not symbol.name.startswith("$"):
                named.setdefault(symbol.name, symbol.address)
        return named

    @cached_property
    def objects(self) -> tuple[tuple[str, int, int], ...]:
        """(name, address, size in bytes) of every variable, in order of address."""
        found = {(s.address, s.name, s.size) for s in self._symbols if s.kind == "STT_OBJECT"}
        return tuple((name, address, size) for address, name, size in sorted(found))

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """Every function with code of its own, by address."""
        found = {s.address & ~_THUMB_BIT: s for s in self._symbols if s.kind == "STT_FUNC" and s.name}
        starts = sorted(found)
        ends = [*starts[1:], 1 << 32]
        return tuple(
            Function(found[start].name, start, start + found[start].size if found[start].size else end)
            for start, end in zip(starts, ends, strict=True)
        )

    def function_at(self, address: int) -> Function | None:
        """The function that holds ``address``."""
        index = bisect.bisect_right([function.start for function in self.functions], address) - 1
        if index < 0 or address >= self.functions[index].end:
            return None
        return self.functions[index]

    @cached_property
    def code(self) -> tuple[tuple[Section, tuple[tuple[int, int], ...]], ...]:
        """Every section of machine code, with the [start, end) regions of it that hold instructions, not literals."""
        marks = sorted((s.address, s.name[1]) for s in self._symbols if s.name[:2] in ("$t", "$d", "$a"))
        return tuple((section, _regions(section, marks)) for section in self.sections if section.is_code)

    @cached_property
    def sizes(self) -> Sizes:
        """What the program takes of flash and RAM; the stack and what is reserved for it are not counted."""
        code = sum(end - start for _, regions in self.code for start, end in regions)
        stored = sum(section.size for section in self.sections if section.is_stored and not section.is_writable)
        reserved = (".stack", ".heap", ".arena")
        writable = [section for section in self.sections if section.is_writable and section.name not in reserved]
        return Sizes(
            code=code,
            rodata=stored - code,
            data=sum(section.size for section in writable if section.is_stored),
            bss=sum(section.size for section in writable if not section.is_stored),
            arena=sum(section.size for section in self.sections if section.name == ".arena"),
        )

    def section(self, *names: str) -> Section | None:
        """The first section called by one of ``names``."""
        return next((section for section in self.sections if section.name in names), None)

    def place(self, address: int) -> str:
        """For people: ``conv_2d at kernels/conv_2d.c:45``, as far as the file knows."""
        function = self.function_at(address)
        line = self.source_line(address)
        name = function.name if function else f"0x{address:08X}"
        return f"{name} at {line}" if line else name

    def source_line(self, address: int) -> str:
        """``file.c:line`` of an instruction, with the last folder of its path; "" without debug information."""
        index = bisect.bisect_right([row[0] for row in self._lines], address) - 1
        return self._lines[index][1] if index >= 0 else ""

    def source_file(self, address: int) -> str:
        """``folder/file.c`` of an instruction; "" without debug information."""
        return self.source_line(address).rpartition(":")[0]

    @cached_property
    def _lines(self) -> list[tuple[int, str]]:
        """(address, file:line) in order of address; an empty text ends a sequence."""
        rows: dict[int, str] = {}
        if not self._elf.has_dwarf_info():
            return []
        try:
            dwarf = self._elf.get_dwarf_info()
            for unit in dwarf.iter_CUs():
                program = dwarf.line_program_for_CU(unit)
                if program is not None:
                    _add_lines(rows, program, self._holds_code)
        except Exception:  # lines only embellish messages: damaged debug information must not hide them
            return []
        return sorted(rows.items())

    def _holds_code(self, address: int) -> bool:
        return any(s.is_code and s.address <= address < s.address + s.size for s in self.sections)


@dataclass(frozen=True)
class _Symbol:
    name: str
    address: int
    size: int
    kind: str


def _open(path: Path) -> Any:
    """pyelftools' view of a 32-bit little-endian ARM executable."""
    try:
        elffile = importlib.import_module("elftools.elf.elffile")
    except ImportError:
        raise emulator_missing("pyelftools") from None
    try:
        elf = elffile.ELFFile(open(path, "rb"))  # lines are read when they are asked for
    except OSError as error:
        raise _not_an_elf(path, error.strerror or str(error)) from error
    except Exception as error:  # pyelftools raises many kinds on damaged files
        raise _not_an_elf(path, "it does not begin with an ELF header") from error
    machine = elf["e_machine"]
    if machine != "EM_ARM" or not elf.little_endian or elf.elfclass != 32:
        raise QmkitError(
            "wrong-architecture",
            f"{path.name} is a program for {_machine_name(machine)}, not for a Cortex-M core",
            why="the emulated boards have 32-bit little-endian Arm cores",
            hint="compile it for the board, for instance in the PlatformIO environment emulated_nano33ble",
        )
    if elf["e_type"] != "ET_EXEC":
        raise _not_an_elf(path, "it is not linked: an executable is needed, not an object file")
    return elf


def _machine_name(machine: object) -> str:
    return str(machine).removeprefix("EM_").replace("_", "-")


def emulator_missing(package: str) -> QmkitError:
    """The error for a package of the extra that is not installed."""
    return QmkitError(
        "emulator-missing",
        f"emulated boards need the Python package {package}",
        why="it is part of the extra `emulator`, which is not installed",
        hint='pip install "quantmcu-kit[emulator]"',
        exit_code=EXIT_ENVIRONMENT,
    )


def _not_an_elf(path: Path, why: str) -> QmkitError:
    return QmkitError(
        "not-an-elf",
        f"{path} is not a program in ELF format",
        why=why,
        hint="give the .elf file that the linker wrote, not a .bin or .hex",
    )


def _section(section: Any) -> Section:
    flags = section["sh_flags"]
    stored = section["sh_type"] != "SHT_NOBITS"
    return Section(
        name=section.name,
        address=section["sh_addr"],
        data=section.data() if stored else b"",
        size=section["sh_size"],
        is_code=bool(flags & 4) and stored,
        is_writable=bool(flags & 1),
        is_stored=stored,
    )


def _symbols(elf: Any) -> tuple[_Symbol, ...]:
    table = elf.get_section_by_name(".symtab")
    if table is None:
        return ()
    in_memory = {index for index, section in enumerate(elf.iter_sections()) if section["sh_flags"] & 2}
    return tuple(
        _Symbol(symbol.name, symbol["st_value"], symbol["st_size"], symbol["st_info"]["type"])
        for symbol in table.iter_symbols()
        if symbol["st_shndx"] in in_memory or symbol["st_shndx"] == "SHN_ABS"
    )


def _regions(section: Section, marks: Sequence[tuple[int, str]]) -> tuple[tuple[int, int], ...]:
    """Where a section holds instructions, by its mapping symbols; all of it where there are none."""
    end = section.address + section.size
    inside = [(address, kind) for address, kind in marks if section.address <= address < end]
    if not inside:
        return ((section.address, end),)
    limits = [address for address, _ in inside[1:]] + [end]
    regions: list[tuple[int, int]] = []
    for (start, kind), limit in zip(inside, limits, strict=True):
        if kind != "t" or start == limit:
            continue
        if regions and regions[-1][1] == start:
            regions[-1] = (regions[-1][0], limit)
        else:
            regions.append((start, limit))
    return tuple(regions)


def _add_lines(rows: dict[int, str], program: Any, holds_code: Callable[[int], bool]) -> None:
    """Rows of one compilation unit's line program. Sequences of functions that the linker dropped lie at address 0."""
    header = program.header
    first = 0 if header["version"] >= 5 else 1
    is_first, is_kept = True, False
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        if is_first:
            is_kept = holds_code(state.address)
        is_first = state.end_sequence
        if not is_kept:
            continue
        if state.end_sequence:
            rows.setdefault(state.address, "")
            continue
        index = state.file - first
        if 0 <= index < len(header["file_entry"]):
            rows[state.address] = f"{_file_name(header, index)}:{state.line}"


def _file_name(header: Any, index: int) -> str:
    """``folder/file.c``: the last folder tells files of one name apart, and no path of a machine is shown."""
    entry = header["file_entry"][index]
    name = os.fsdecode(entry.name)
    folder = ""
    directories = header["include_directory"]
    place = entry.dir_index if header["version"] >= 5 else entry.dir_index - 1
    if 0 <= place < len(directories):
        folder = os.fsdecode(directories[place])
    parts = [part for part in f"{folder}/{name}".replace("\\", "/").split("/") if part not in ("", ".")]
    return "/".join(parts[-2:])
