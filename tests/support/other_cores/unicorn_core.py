"""Runs network.elf on a core of the emulator ``unicorn``, as xtensa_main.c does on its own: inputs from standard input
until these end, outputs to standard output. A separate program, so that a crash of the emulator is one failed test.

    python unicorn_core.py riscv|big-endian-mips network.elf INPUT_BYTES OUTPUT_BYTES
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import unicorn
from elftools.elf.elffile import ELFFile
from unicorn import mips_const, riscv_const

_SHORT_INPUT, _LIBRARY_ERROR, _ALIGNMENT_FAULT = 3, 4, 109
_STACK_BYTES, _STACK_TOP = 0x10000, 0x7000_0000
_RETURN = 0x7100_0000  # where a function returns to; the emulator stops there
_PAGE = 0x1000
_UNALIGNED = (unicorn.UC_ERR_EXCEPTION, unicorn.UC_ERR_READ_UNALIGNED)


@dataclass(frozen=True)
class Core:
    """A core by unicorn's numbers: architecture, mode, and the registers of the C ABI."""

    architecture: int
    mode: int
    stack_pointer: int
    link: int
    result: int


CORES = {
    "riscv": Core(
        unicorn.UC_ARCH_RISCV,
        unicorn.UC_MODE_RISCV32,
        riscv_const.UC_RISCV_REG_SP,
        riscv_const.UC_RISCV_REG_RA,
        riscv_const.UC_RISCV_REG_A0,
    ),
    "big-endian-mips": Core(
        unicorn.UC_ARCH_MIPS,
        unicorn.UC_MODE_MIPS32 | unicorn.UC_MODE_BIG_ENDIAN,
        mips_const.UC_MIPS_REG_SP,
        mips_const.UC_MIPS_REG_RA,
        mips_const.UC_MIPS_REG_V0,
    ),
}


class Machine:
    """The program in memory: code cannot be written, variables cannot be executed."""

    def __init__(self, core: Core, path: str) -> None:
        with open(path, "rb") as file:
            elf = ELFFile(file)
            symbols = elf.get_section_by_name(".symtab").iter_symbols()
            self.symbols = {symbol.name: symbol["st_value"] for symbol in symbols}
            self._core = core
            self.uc = unicorn.Uc(core.architecture, core.mode)
            self.uc.mem_map(_STACK_TOP - _STACK_BYTES, _STACK_BYTES, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
            self.uc.mem_map(_RETURN, _PAGE, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
            for segment in elf.iter_segments("PT_LOAD"):
                address, is_writable = segment["p_vaddr"], segment["p_flags"] & 2
                right = unicorn.UC_PROT_WRITE if is_writable else unicorn.UC_PROT_EXEC
                size = -(-segment["p_memsz"] // _PAGE) * _PAGE
                self.uc.mem_map(address, size, unicorn.UC_PROT_READ | right)
                self.uc.mem_write(address, segment.data())

    def call(self, function: str) -> int:
        """Result of a function without arguments."""
        self.uc.reg_write(self._core.stack_pointer, _STACK_TOP - 64)
        self.uc.reg_write(self._core.link, _RETURN)
        self.uc.emu_start(self.symbols[function], _RETURN)
        return self.uc.reg_read(self._core.result)


def main(core: str, path: str, input_bytes: int, output_bytes: int) -> int:
    """The exit code; one byte of input stands for the function ``load_unaligned``."""
    machine = Machine(CORES[core], path)
    while len(data := sys.stdin.buffer.read(input_bytes)) == input_bytes:
        machine.uc.mem_write(machine.symbols["network_input"], data)
        if machine.call("network_run") != 0:
            return _LIBRARY_ERROR
        sys.stdout.buffer.write(machine.uc.mem_read(machine.symbols["network_output"], output_bytes))
    if len(data) == 1:
        try:
            return machine.call("load_unaligned")
        except unicorn.UcError as error:
            return _ALIGNMENT_FAULT if error.errno in _UNALIGNED else 1
    return _SHORT_INPUT if data else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
