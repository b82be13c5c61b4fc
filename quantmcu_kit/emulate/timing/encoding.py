"""Encodings written as the Arm manuals draw them: a row of bits, where letters are the fields of the instruction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from quantmcu_kit.emulate.timing.instruction import Extension, Kind, Trait


@dataclass(frozen=True)
class Encoding:
    """One class of encodings.

    Attributes:
        name: mnemonic.
        bits: 16 or 32 characters once spaces are taken out: 0, 1, a field's letter, or ``.`` for any. Core registers:
            a, d, h, l, m, n, t, u. FPU registers: D, N, M in four bits, and x, y, z as the fifth bit of D, N, M, which
            is the lowest of a single and the highest of a double. w: doubles. r: register list, p: its PC or LR.
            f: sets the flags if 1. q: shifts an operand if not 0. c: words of a multiple FPU access.
            i, j, k, s: parts of a branch's displacement.
        reads, writes, address: letters of the core registers that it reads, writes, or computes an address from;
            S is the stack pointer and L the link register.
        fp_reads, fp_writes, fp_addend: letters of FPU registers; an addend is read as well.
    """

    name: str
    bits: str
    kind: Kind
    extension: Extension
    reads: str = ""
    writes: str = ""
    address: str = ""
    traits: Trait = Trait.NONE
    fp_reads: str = ""
    fp_writes: str = ""
    fp_addend: str = ""

    @cached_property
    def pattern(self) -> str:
        """The bits without spaces."""
        return self.bits.replace(" ", "")

    @cached_property
    def size(self) -> int:
        """Bytes."""
        return len(self.pattern) // 8

    @cached_property
    def mask(self) -> int:
        """Bits that are fixed."""
        return int("".join("1" if bit in "01" else "0" for bit in self.pattern), 2)

    @cached_property
    def value(self) -> int:
        """What the fixed bits are."""
        return int("".join("1" if bit == "1" else "0" for bit in self.pattern), 2)

    @cached_property
    def fields(self) -> dict[str, tuple[tuple[int, int], ...]]:
        """(shift, width) of the runs of bits of each letter, high to low."""
        width = len(self.pattern)
        runs: dict[str, list[tuple[int, int]]] = {}
        for index, letter in enumerate(self.pattern):
            if letter in "01.":
                continue
            shift = width - 1 - index
            pieces = runs.setdefault(letter, [])
            if pieces and pieces[-1][0] == shift + 1:
                pieces[-1] = (shift, pieces[-1][1] + 1)
            else:
                pieces.append((shift, 1))
        return {letter: tuple(pieces) for letter, pieces in runs.items()}

    def matches(self, word: int) -> bool:
        """Whether a word (of 32 bits: the first halfword above) is one of these."""
        return word & self.mask == self.value

    def field(self, letter: str, word: int) -> int:
        """A field's value; 0 for one that this encoding does not have."""
        value = 0
        for shift, width in self.fields.get(letter, ()):
            value = value << width | (word >> shift) & ((1 << width) - 1)
        return value


class Index:
    """Encodings in order of precedence, looked up by some bits of the word."""

    def __init__(self, encodings: Sequence[Encoding], shift: int, width: int) -> None:
        self._shift = shift
        self._mask = (1 << width) - 1
        looked_at = self._mask << shift
        self._rows = tuple(
            tuple(e for e in encodings if not (prefix << shift ^ e.value) & (e.mask & looked_at))
            for prefix in range(1 << width)
        )

    def find(self, word: int) -> Encoding | None:
        """The first encoding that matches."""
        for encoding in self._rows[(word >> self._shift) & self._mask]:
            if encoding.matches(word):
                return encoding
        return None
