"""Bytes to instructions, by the tables of encodings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from quantmcu_kit.emulate.timing import thumb16, thumb32, thumb_fp
from quantmcu_kit.emulate.timing.encoding import Encoding, Index
from quantmcu_kit.emulate.timing.instruction import JUMPS, MULTIPLIES, Extension, Instruction, Kind, Trait

_FIRST_WIDE = 0xE800  # a first halfword from here on is half of a 32-bit instruction
_SP, _LR, _PC = 13, 14, 15
_CORE_REGISTERS = 0x7FFF  # without the program counter
_FIFTH_BIT = {"D": "x", "N": "y", "M": "z"}  # of an FPU register's number
_FP_REGISTERS = 32
_LISTS = (Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE)
_BRANCH_BASE = 4  # the program counter reads as the branch's address + 4

ENCODINGS = (*thumb16.ENCODINGS, *thumb_fp.ENCODINGS, *thumb32.ENCODINGS)
_INDEX16 = Index(thumb16.ENCODINGS, shift=8, width=8)
_INDEX32 = Index((*thumb_fp.ENCODINGS, *thumb32.ENCODINGS), shift=20, width=9)


@lru_cache(maxsize=1 << 16)
def decode(word: int, size: int) -> Instruction:
    """The instruction that ``word`` encodes, wherever it stands.

    Args:
        word: the halfword, or of a 32-bit instruction the first halfword shifted up by 16, and the second.
        size: 2 or 4 bytes.
    """
    encoding = find_encoding(word, size)
    if encoding is None or encoding.kind is Kind.UNDEFINED:
        return Instruction(size, "undefined", Kind.UNDEFINED, Extension.NONE)
    registers, jumps = _register_list(encoding, word)
    address = _core(encoding, encoding.address, word)
    is_load = encoding.kind is Kind.LOAD_MULTIPLE
    addend_letters = _addend_letters(encoding)
    operands = _core(encoding, [letter for letter in encoding.reads if letter not in addend_letters], word)
    addend = _core(encoding, addend_letters, word)
    reads = operands | addend | address | (0 if is_load else registers)
    writes = _core(encoding, encoding.writes, word) | (registers if is_load else 0)
    traits = _traits(encoding, word)
    if Trait.WRITE_BACK in traits:
        writes |= _core(encoding, encoding.address[0], word)
    fp_operands, fp_addend = (_fpu(encoding, letters, word) for letters in (encoding.fp_reads, encoding.fp_addend))
    words = min(encoding.field("c", word), _FP_REGISTERS)
    return Instruction(
        size=size,
        name=encoding.name,
        kind=encoding.kind,
        extension=encoding.extension,
        traits=traits,
        reads=reads & _CORE_REGISTERS,
        writes=writes & _CORE_REGISTERS,
        address=address & _CORE_REGISTERS,
        addend=addend & ~operands,
        fp_reads=fp_operands | fp_addend,
        fp_writes=_fpu(encoding, encoding.fp_writes, word),
        fp_addend=fp_addend & ~fp_operands,
        words=words if "c" in encoding.fields else registers.bit_count(),
        jumps=jumps or encoding.kind in JUMPS,
        displacement=_displacement(encoding, word),
        dividend=encoding.field("n", word) if encoding.kind is Kind.DIVIDE else 0,
        divisor=encoding.field("m", word) if encoding.kind is Kind.DIVIDE else 0,
    )


def find_encoding(word: int, size: int) -> Encoding | None:
    """The row of the tables for a word; None where there is none."""
    return (_INDEX16 if size == 2 else _INDEX32).find(word)


def walk(code: bytes, start: int, end: int) -> Iterator[tuple[int, Instruction]]:
    """(offset, instruction) from offset ``start`` on; one that ``end`` cuts short is undefined."""
    offset = start
    while offset + 2 <= end:
        word = int.from_bytes(code[offset : offset + 2], "little")
        size = 4 if word >= _FIRST_WIDE else 2
        if offset + size > end:
            yield offset, Instruction(2, "undefined", Kind.UNDEFINED, Extension.NONE)
            return
        if size == 4:
            word = word << 16 | int.from_bytes(code[offset + 2 : offset + 4], "little")
        yield offset, decode(word, size)
        offset += size


def _core(encoding: Encoding, letters: Iterable[str], word: int) -> int:
    """Mask of the core registers that these letters stand for."""
    mask = 0
    for letter in letters:
        number = {"S": _SP, "L": _LR}.get(letter)
        mask |= 1 << (encoding.field(letter, word) if number is None else number)
    return mask


def _addend_letters(encoding: Encoding) -> str:
    """Operands that a multiply accumulates to: a word, or the halves of a doubleword."""
    return "".join(letter for letter in encoding.reads if letter in "alh" and encoding.kind in MULTIPLIES)


def _fpu(encoding: Encoding, letters: str, word: int) -> int:
    """Mask of the single-precision registers that these letters stand for."""
    is_double = bool(encoding.field("w", word)) or Trait.DOUBLE in encoding.traits
    mask = 0
    for letter in letters:
        four, fifth = encoding.field(letter, word), encoding.field(_FIFTH_BIT[letter], word)
        first = 2 * four if is_double else 2 * four + fifth  # d16 to d31 do not exist
        count = encoding.field("c", word) or (2 if is_double else 1)
        if encoding.kind is Kind.FP_TRANSFER_TWO:
            count = 2
        mask |= (1 << count) - 1 << first
    return mask & 0xFFFFFFFF


def _register_list(encoding: Encoding, word: int) -> tuple[int, bool]:
    """(mask of a multiple load's or store's registers, whether it loads the program counter)."""
    if encoding.kind not in _LISTS:
        return 0, False
    is_load = encoding.kind is Kind.LOAD_MULTIPLE
    if encoding.size == 2:
        registers = encoding.field("r", word) | encoding.field("p", word) << (_PC if is_load else _LR)
    else:
        registers = word & 0xFFFF
    return registers, bool(registers >> _PC)


def _traits(encoding: Encoding, word: int) -> Trait:
    traits = encoding.traits
    if encoding.field("f", word):
        traits |= Trait.SETS_FLAGS
    if encoding.field("q", word):
        traits |= Trait.SHIFTED
    if encoding.field("w", word):
        traits |= Trait.DOUBLE
    return traits


def _displacement(encoding: Encoding, word: int) -> int | None:
    """Bytes from a direct branch to its target."""
    if encoding.kind is Kind.BRANCH_COMPARE:
        return 2 * encoding.field("i", word) + _BRANCH_BASE
    if encoding.kind not in (Kind.BRANCH, Kind.BRANCH_CONDITIONAL, Kind.CALL):
        return None
    if encoding.size == 2:
        ((_, width),) = encoding.fields["s"]
        return 2 * _signed(encoding.field("s", word), width) + _BRANCH_BASE
    sign, j1, j2 = (encoding.field(letter, word) for letter in "sjk")
    low = encoding.field("i", word)
    if encoding.kind is Kind.BRANCH_CONDITIONAL:
        return 2 * _signed(sign << 19 | j2 << 18 | j1 << 17 | low, 20) + _BRANCH_BASE
    i1, i2 = 1 - (j1 ^ sign), 1 - (j2 ^ sign)
    return 2 * _signed(sign << 23 | i1 << 22 | i2 << 21 | low, 24) + _BRANCH_BASE


def _signed(value: int, width: int) -> int:
    return value - (1 << width) if value >> width - 1 else value
