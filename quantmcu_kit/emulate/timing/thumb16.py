"""The 16-bit Thumb encodings (ARMv7-M Architecture Reference Manual, A5.2; ARMv6-M, A5.2). First match counts."""

from __future__ import annotations

from quantmcu_kit.emulate.timing.encoding import Encoding as E
from quantmcu_kit.emulate.timing.instruction import Extension, Kind, Trait

_V6M, _V7M, _V8M = Extension.V6M, Extension.V7M, Extension.V8M
_FLAGS = Trait.SETS_FLAGS
_CARRY = Trait.SETS_FLAGS | Trait.READS_FLAGS
_OFFSET, _NARROW = Trait.REGISTER_OFFSET, Trait.NARROW_ACCESS

ENCODINGS = (
    # Shift, add, subtract, move, compare
    E("lsl", "000 00 ..... mmm ddd", Kind.ALU, _V6M, "m", "d", traits=_FLAGS),
    E("lsr", "000 01 ..... mmm ddd", Kind.ALU, _V6M, "m", "d", traits=_FLAGS),
    E("asr", "000 10 ..... mmm ddd", Kind.ALU, _V6M, "m", "d", traits=_FLAGS),
    E("add/sub", "000 110 . mmm nnn ddd", Kind.ALU, _V6M, "nm", "d", traits=_FLAGS),
    E("add/sub", "000 111 . ... nnn ddd", Kind.ALU, _V6M, "n", "d", traits=_FLAGS),
    E("mov", "001 00 ddd ........", Kind.ALU, _V6M, "", "d", traits=_FLAGS),
    E("cmp", "001 01 nnn ........", Kind.ALU, _V6M, "n", traits=_FLAGS),
    E("add/sub", "001 1. ddd ........", Kind.ALU, _V6M, "d", "d", traits=_FLAGS),
    # Data processing on two low registers
    E("and/eor", "010000 000. mmm ddd", Kind.ALU, _V6M, "dm", "d", traits=_FLAGS),
    E("lsl/lsr", "010000 001. mmm ddd", Kind.ALU, _V6M, "dm", "d", traits=_FLAGS),
    E("asr", "010000 0100 mmm ddd", Kind.ALU, _V6M, "dm", "d", traits=_FLAGS),
    E("adc", "010000 0101 mmm ddd", Kind.ALU, _V6M, "dm", "d", traits=_CARRY),
    E("sbc", "010000 0110 mmm ddd", Kind.ALU, _V6M, "dm", "d", traits=_CARRY),
    E("ror", "010000 0111 mmm ddd", Kind.ALU, _V6M, "dm", "d", traits=_FLAGS),
    E("tst", "010000 1000 mmm nnn", Kind.ALU, _V6M, "nm", traits=_FLAGS),
    E("rsb", "010000 1001 mmm ddd", Kind.ALU, _V6M, "m", "d", traits=_FLAGS),
    E("cmp/cmn", "010000 101. mmm nnn", Kind.ALU, _V6M, "nm", traits=_FLAGS),
    E("orr", "010000 1100 mmm ddd", Kind.ALU, _V6M, "dm", "d", traits=_FLAGS),
    E("mul", "010000 1101 mmm ddd", Kind.MULTIPLY, _V6M, "dm", "d", traits=_FLAGS),
    E("bic", "010000 1110 mmm ddd", Kind.ALU, _V6M, "dm", "d", traits=_FLAGS),
    E("mvn", "010000 1111 mmm ddd", Kind.ALU, _V6M, "m", "d", traits=_FLAGS),
    # High registers, branches by register
    E("add pc", "010001 00 1 mmmm 111", Kind.ALU_PC, _V6M, "m"),
    E("add", "010001 00 d mmmm ddd", Kind.ALU, _V6M, "dm", "d"),
    E("cmp", "010001 01 n mmmm nnn", Kind.ALU, _V6M, "nm", traits=_FLAGS),
    E("mov pc", "010001 10 1 mmmm 111", Kind.ALU_PC, _V6M, "m"),
    E("mov", "010001 10 d mmmm ddd", Kind.ALU, _V6M, "m", "d"),
    E("bx", "010001 11 0 mmmm 000", Kind.BRANCH_REGISTER, _V6M, "m"),
    E("bxns", "010001 11 0 mmmm 100", Kind.BRANCH_REGISTER, _V8M, "m"),
    E("blx", "010001 11 1 mmmm 000", Kind.CALL_REGISTER, _V6M, "m"),
    E("blxns", "010001 11 1 mmmm 100", Kind.CALL_REGISTER, _V8M, "m"),
    # Loads and stores of one register
    E("ldr pc-relative", "01001 ddd ........", Kind.LOAD, _V6M, "", "d"),
    E("str", "0101 000 mmm nnn ttt", Kind.STORE, _V6M, "t", "", "nm", _OFFSET),
    E("strh", "0101 001 mmm nnn ttt", Kind.STORE, _V6M, "t", "", "nm", _OFFSET | _NARROW),
    E("strb", "0101 010 mmm nnn ttt", Kind.STORE, _V6M, "t", "", "nm", _OFFSET | _NARROW),
    E("ldrsb", "0101 011 mmm nnn ttt", Kind.LOAD, _V6M, "", "t", "nm", _OFFSET | _NARROW),
    E("ldr", "0101 100 mmm nnn ttt", Kind.LOAD, _V6M, "", "t", "nm", _OFFSET),
    E("ldrh", "0101 101 mmm nnn ttt", Kind.LOAD, _V6M, "", "t", "nm", _OFFSET | _NARROW),
    E("ldrb", "0101 110 mmm nnn ttt", Kind.LOAD, _V6M, "", "t", "nm", _OFFSET | _NARROW),
    E("ldrsh", "0101 111 mmm nnn ttt", Kind.LOAD, _V6M, "", "t", "nm", _OFFSET | _NARROW),
    E("str", "01100 ..... nnn ttt", Kind.STORE, _V6M, "t", "", "n"),
    E("ldr", "01101 ..... nnn ttt", Kind.LOAD, _V6M, "", "t", "n"),
    E("strb", "01110 ..... nnn ttt", Kind.STORE, _V6M, "t", "", "n", _NARROW),
    E("ldrb", "01111 ..... nnn ttt", Kind.LOAD, _V6M, "", "t", "n", _NARROW),
    E("strh", "10000 ..... nnn ttt", Kind.STORE, _V6M, "t", "", "n", _NARROW),
    E("ldrh", "10001 ..... nnn ttt", Kind.LOAD, _V6M, "", "t", "n", _NARROW),
    E("str sp", "10010 ttt ........", Kind.STORE, _V6M, "t", "", "S"),
    E("ldr sp", "10011 ttt ........", Kind.LOAD, _V6M, "", "t", "S"),
    # Addresses
    E("adr", "10100 ddd ........", Kind.ALU, _V6M, "", "d"),
    E("add sp", "10101 ddd ........", Kind.ALU, _V6M, "S", "d"),
    E("add/sub sp", "1011 0000 ........", Kind.ALU, _V6M, "S", "S"),
    # Miscellaneous
    E("cbz", "1011 .0 i 1 iiiii nnn", Kind.BRANCH_COMPARE, _V7M, "n"),
    E("sxt/uxt", "1011 0010 .. mmm ddd", Kind.ALU, _V6M, "m", "d", traits=Trait.SHIFTED),
    E("push", "1011 010 p rrrrrrrr", Kind.STORE_MULTIPLE, _V6M, "", "", "S", Trait.WRITE_BACK),
    E("cps", "1011 0110 011 . 0010", Kind.INTERRUPT_MASK, _V6M),
    E("cps", "1011 0110 011 . 00 ..", Kind.INTERRUPT_MASK, _V7M),
    E("rev/rev16", "1011 1010 0. mmm ddd", Kind.ALU, _V6M, "m", "d", traits=Trait.SHIFTED),
    E("revsh", "1011 1010 11 mmm ddd", Kind.ALU, _V6M, "m", "d", traits=Trait.SHIFTED),
    E("pop", "1011 110 p rrrrrrrr", Kind.LOAD_MULTIPLE, _V6M, "", "", "S", Trait.WRITE_BACK),
    E("bkpt", "1011 1110 ........", Kind.EXCEPTION, _V6M),
    E("wfe/wfi", "1011 1111 001. 0000", Kind.WAIT, _V6M),
    E("nop", "1011 1111 .... 0000", Kind.HINT, _V6M),
    E("it", "1011 1111 .... ....", Kind.IT, _V7M, traits=Trait.READS_FLAGS),
    # Multiple loads and stores, branches
    E("stm", "11000 nnn rrrrrrrr", Kind.STORE_MULTIPLE, _V6M, "", "", "n", Trait.WRITE_BACK),
    E("ldm", "11001 nnn rrrrrrrr", Kind.LOAD_MULTIPLE, _V6M, "", "", "n", Trait.WRITE_BACK),
    E("udf", "1101 1110 ........", Kind.UNDEFINED, Extension.NONE),
    E("svc", "1101 1111 ........", Kind.EXCEPTION, _V6M),
    E("b conditional", "1101 .... ssssssss", Kind.BRANCH_CONDITIONAL, _V6M, traits=Trait.READS_FLAGS),
    E("b", "11100 sssssssssss", Kind.BRANCH, _V6M),
)
