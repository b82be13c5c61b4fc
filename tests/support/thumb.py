"""Small Thumb programs with their bytes and hand-counted cycles."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from quantmcu_kit.emulate.timing import analyse

START = 0x08000000
ASSEMBLER, OBJDUMP = "arm-none-eabi-as", "arm-none-eabi-objdump"
FLAGS = {
    "cortex-m0plus": ["-mcpu=cortex-m0plus"],
    "cortex-m3": ["-mcpu=cortex-m3"],
    "cortex-m4f": ["-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"],
    "cortex-m7": ["-mcpu=cortex-m7", "-mfpu=fpv5-d16", "-mfloat-abi=hard"],
    "cortex-m33": ["-mcpu=cortex-m33", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"],
}


@dataclass(frozen=True)
class Program:
    """Assembly, its bytes in hexadecimal, and what each instruction costs; extras are 0 where not given."""

    source: str
    hexadecimal: str
    cycles: list[int]
    entry_extra: dict[int, int] = field(default_factory=dict)
    taken_extra: dict[int, int] = field(default_factory=dict)

    @property
    def code(self) -> bytes:
        return bytes.fromhex(self.hexadecimal)


@dataclass(frozen=True)
class PerInstruction:
    """A timing's arrays without the halfwords where no instruction starts."""

    cycles: list[int]
    entry_extra: list[int]
    taken_extra: list[int]
    illegal: int


def timing_of(core: str, program: Program) -> PerInstruction:
    timing = analyse(core, program.code, START, [(START, START + len(program.code))])
    starts = np.flatnonzero(timing.instructions)
    arrays = (timing.cycles, timing.entry_extra, timing.taken_extra)
    return PerInstruction(*(array[starts].tolist() for array in arrays), illegal=len(timing.illegal))


def assembled(core: str, programs: Sequence[Program]) -> list[bytes]:
    """What the assembler makes of the sources; skips where there is none."""
    if not shutil.which(ASSEMBLER):
        pytest.skip(f"needs {ASSEMBLER}")
    sections = [f'.section .p{n},"ax"\n' + program.source.replace(";", "\n") for n, program in enumerate(programs)]
    return assemble_sections(core, sections)


def assemble_sections(core: str, sections: Sequence[str]) -> list[bytes]:
    """Bytes of sections that are called .p0, .p1, ..."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "program.o"
        source = ".syntax unified\n.thumb\n" + "\n".join(sections) + "\n"
        command = [ASSEMBLER, *FLAGS[core], "--no-warn", "-o", target]
        subprocess.run(command, input=source, text=True, check=True)
        dump = subprocess.run([OBJDUMP, "-s", target], capture_output=True, text=True, check=True).stdout
    found = {}
    for part in dump.split("Contents of section ")[1:]:
        name, _, rows = part.partition(":")
        if not re.fullmatch(r"\.p\d+", name):
            continue
        digits = [re.match(r" [0-9a-f]+ ((?:[0-9a-f]+ )+) ", row) for row in rows.splitlines() if row.startswith(" ")]
        found[int(name[2:])] = bytes.fromhex("".join(row[1] for row in digits if row))
    return [found[number] for number in range(len(sections))]
