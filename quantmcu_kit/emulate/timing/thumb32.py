"""The 32-bit Thumb encodings but for the FPU's (ARMv7-M Architecture Reference Manual, A5.3). First match counts."""

from __future__ import annotations

from quantmcu_kit.emulate.timing.encoding import Encoding as E
from quantmcu_kit.emulate.timing.instruction import Extension, Kind, Trait

_V6M, _V7M, _V8M, _DSP, _NONE = Extension.V6M, Extension.V7M, Extension.V8M, Extension.DSP, Extension.NONE
_FLAGS, _READS = Trait.SETS_FLAGS, Trait.READS_FLAGS
_OFFSET, _BACK, _NARROW, _SHIFTED = Trait.REGISTER_OFFSET, Trait.WRITE_BACK, Trait.NARROW_ACCESS, Trait.SHIFTED
_UNDEFINED = Kind.UNDEFINED

_MULTIPLE = (
    E("stm", "1110 1000 1000 nnnn  0r0r rrrr rrrr rrrr", Kind.STORE_MULTIPLE, _V7M, "", "", "n"),
    E("stm", "1110 1000 1010 nnnn  0r0r rrrr rrrr rrrr", Kind.STORE_MULTIPLE, _V7M, "", "", "n", _BACK),
    E("ldm", "1110 1000 1001 nnnn  rr0r rrrr rrrr rrrr", Kind.LOAD_MULTIPLE, _V7M, "", "", "n"),
    E("ldm", "1110 1000 1011 nnnn  rr0r rrrr rrrr rrrr", Kind.LOAD_MULTIPLE, _V7M, "", "", "n", _BACK),
    E("stmdb", "1110 1001 0000 nnnn  0r0r rrrr rrrr rrrr", Kind.STORE_MULTIPLE, _V7M, "", "", "n"),
    E("stmdb", "1110 1001 0010 nnnn  0r0r rrrr rrrr rrrr", Kind.STORE_MULTIPLE, _V7M, "", "", "n", _BACK),
    E("ldmdb", "1110 1001 0001 nnnn  rr0r rrrr rrrr rrrr", Kind.LOAD_MULTIPLE, _V7M, "", "", "n"),
    E("ldmdb", "1110 1001 0011 nnnn  rr0r rrrr rrrr rrrr", Kind.LOAD_MULTIPLE, _V7M, "", "", "n", _BACK),
)
_DUAL_EXCLUSIVE_TABLE = (
    E("sg", "1110 1001 0111 1111  1110 1001 0111 1111", Kind.HINT, _V8M),
    E("tt", "1110 1000 0100 nnnn  1111 dddd ..00 0000", Kind.SPECIAL, _V8M, "n", "d"),
    E("strex", "1110 1000 0100 nnnn  tttt dddd .... ....", Kind.STORE_EXCLUSIVE, _V7M, "t", "d", "n"),
    E("ldrex", "1110 1000 0101 nnnn  tttt 1111 .... ....", Kind.LOAD_EXCLUSIVE, _V7M, "", "t", "n"),
    E("tbb/tbh", "1110 1000 1101 nnnn  1111 0000 000. mmmm", Kind.BRANCH_TABLE, _V7M, "", "", "nm", _OFFSET),
    E("strexb/h", "1110 1000 1100 nnnn  tttt 1111 010. dddd", Kind.STORE_EXCLUSIVE, _V7M, "t", "d", "n", _NARROW),
    E("ldrexb/h", "1110 1000 1101 nnnn  tttt 1111 010. 1111", Kind.LOAD_EXCLUSIVE, _V7M, "", "t", "n", _NARROW),
    E("stlb/h", "1110 1000 1100 nnnn  tttt 1111 100. 1111", Kind.STORE, _V8M, "t", "", "n", _NARROW),
    E("stl", "1110 1000 1100 nnnn  tttt 1111 1010 1111", Kind.STORE, _V8M, "t", "", "n"),
    E("ldab/h", "1110 1000 1101 nnnn  tttt 1111 100. 1111", Kind.LOAD, _V8M, "", "t", "n", _NARROW),
    E("lda", "1110 1000 1101 nnnn  tttt 1111 1010 1111", Kind.LOAD, _V8M, "", "t", "n"),
    E("stlexb/h", "1110 1000 1100 nnnn  tttt 1111 110. dddd", Kind.STORE_EXCLUSIVE, _V8M, "t", "d", "n", _NARROW),
    E("stlex", "1110 1000 1100 nnnn  tttt 1111 1110 dddd", Kind.STORE_EXCLUSIVE, _V8M, "t", "d", "n"),
    E("ldaexb/h", "1110 1000 1101 nnnn  tttt 1111 110. 1111", Kind.LOAD_EXCLUSIVE, _V8M, "", "t", "n", _NARROW),
    E("ldaex", "1110 1000 1101 nnnn  tttt 1111 1110 1111", Kind.LOAD_EXCLUSIVE, _V8M, "", "t", "n"),
    E("strd", "1110 1001 .100 nnnn  tttt uuuu .... ....", Kind.STORE_DOUBLE, _V7M, "tu", "", "n"),
    E("strd", "1110 1000 .110 nnnn  tttt uuuu .... ....", Kind.STORE_DOUBLE, _V7M, "tu", "", "n", _BACK),
    E("strd", "1110 1001 .110 nnnn  tttt uuuu .... ....", Kind.STORE_DOUBLE, _V7M, "tu", "", "n", _BACK),
    E("ldrd", "1110 1001 .101 nnnn  tttt uuuu .... ....", Kind.LOAD_DOUBLE, _V7M, "", "tu", "n"),
    E("ldrd", "1110 1000 .111 nnnn  tttt uuuu .... ....", Kind.LOAD_DOUBLE, _V7M, "", "tu", "n", _BACK),
    E("ldrd", "1110 1001 .111 nnnn  tttt uuuu .... ....", Kind.LOAD_DOUBLE, _V7M, "", "tu", "n", _BACK),
)
_SHIFTED_REGISTER = (
    E("tst", "1110 1010 0001 nnnn  0qqq 1111 qqqq mmmm", Kind.ALU, _V7M, "nm", traits=_FLAGS),
    E("and/bic", "1110 1010 00.f nnnn  0qqq dddd qqqq mmmm", Kind.ALU, _V7M, "nm", "d"),
    E("mov/shift", "1110 1010 010f 1111  0... dddd .... mmmm", Kind.ALU, _V7M, "m", "d"),
    E("mvn", "1110 1010 011f 1111  0qqq dddd qqqq mmmm", Kind.ALU, _V7M, "m", "d"),
    E("orr/orn", "1110 1010 01.f nnnn  0qqq dddd qqqq mmmm", Kind.ALU, _V7M, "nm", "d"),
    E("teq", "1110 1010 1001 nnnn  0qqq 1111 qqqq mmmm", Kind.ALU, _V7M, "nm", traits=_FLAGS),
    E("eor", "1110 1010 100f nnnn  0qqq dddd qqqq mmmm", Kind.ALU, _V7M, "nm", "d"),
    E("pkh", "1110 1010 1100 nnnn  0... dddd ...0 mmmm", Kind.DSP_ALU, _DSP, "nm", "d", traits=_SHIFTED),
    E("cmn", "1110 1011 0001 nnnn  0qqq 1111 qqqq mmmm", Kind.ALU, _V7M, "nm", traits=_FLAGS),
    E("add", "1110 1011 000f nnnn  0qqq dddd qqqq mmmm", Kind.ALU, _V7M, "nm", "d"),
    E("adc", "1110 1011 010f nnnn  0qqq dddd qqqq mmmm", Kind.ALU, _V7M, "nm", "d", traits=_READS),
    E("sbc", "1110 1011 011f nnnn  0qqq dddd qqqq mmmm", Kind.ALU, _V7M, "nm", "d", traits=_READS),
    E("cmp", "1110 1011 1011 nnnn  0qqq 1111 qqqq mmmm", Kind.ALU, _V7M, "nm", traits=_FLAGS),
    E("sub", "1110 1011 101f nnnn  0qqq dddd qqqq mmmm", Kind.ALU, _V7M, "nm", "d"),
    E("rsb", "1110 1011 110f nnnn  0qqq dddd qqqq mmmm", Kind.ALU, _V7M, "nm", "d"),
)
_MODIFIED_IMMEDIATE = (
    E("tst", "1111 0q00 0001 nnnn  0q.. 1111 .... ....", Kind.ALU, _V7M, "n", traits=_FLAGS),
    E("and/bic", "1111 0q00 00.f nnnn  0q.. dddd .... ....", Kind.ALU, _V7M, "n", "d"),
    E("mov/mvn", "1111 0q00 01.f 1111  0q.. dddd .... ....", Kind.ALU, _V7M, "", "d"),
    E("orr/orn", "1111 0q00 01.f nnnn  0q.. dddd .... ....", Kind.ALU, _V7M, "n", "d"),
    E("teq", "1111 0q00 1001 nnnn  0q.. 1111 .... ....", Kind.ALU, _V7M, "n", traits=_FLAGS),
    E("eor", "1111 0q00 100f nnnn  0q.. dddd .... ....", Kind.ALU, _V7M, "n", "d"),
    E("cmn", "1111 0q01 0001 nnnn  0q.. 1111 .... ....", Kind.ALU, _V7M, "n", traits=_FLAGS),
    E("add", "1111 0q01 000f nnnn  0q.. dddd .... ....", Kind.ALU, _V7M, "n", "d"),
    E("adc", "1111 0q01 010f nnnn  0q.. dddd .... ....", Kind.ALU, _V7M, "n", "d", traits=_READS),
    E("sbc", "1111 0q01 011f nnnn  0q.. dddd .... ....", Kind.ALU, _V7M, "n", "d", traits=_READS),
    E("cmp", "1111 0q01 1011 nnnn  0q.. 1111 .... ....", Kind.ALU, _V7M, "n", traits=_FLAGS),
    E("sub", "1111 0q01 101f nnnn  0q.. dddd .... ....", Kind.ALU, _V7M, "n", "d"),
    E("rsb", "1111 0q01 110f nnnn  0q.. dddd .... ....", Kind.ALU, _V7M, "n", "d"),
)
_PLAIN_IMMEDIATE = (
    E("adr", "1111 0.10 0000 1111  0... dddd .... ....", Kind.ALU, _V7M, "", "d"),
    E("adr", "1111 0.10 1010 1111  0... dddd .... ....", Kind.ALU, _V7M, "", "d"),
    E("addw", "1111 0.10 0000 nnnn  0... dddd .... ....", Kind.ALU, _V7M, "n", "d"),
    E("movw", "1111 0.10 0100 ....  0... dddd .... ....", Kind.ALU, _V7M, "", "d"),
    E("subw", "1111 0.10 1010 nnnn  0... dddd .... ....", Kind.ALU, _V7M, "n", "d"),
    E("movt", "1111 0.10 1100 ....  0... dddd .... ....", Kind.ALU, _V7M, "d", "d"),
    E("ssat16", "1111 0011 0010 nnnn  0000 dddd 0000 ....", Kind.DSP_ALU, _DSP, "n", "d", traits=_SHIFTED),
    E("usat16", "1111 0011 1010 nnnn  0000 dddd 0000 ....", Kind.DSP_ALU, _DSP, "n", "d", traits=_SHIFTED),
    E("ssat", "1111 0011 00.0 nnnn  0... dddd ..0. ....", Kind.ALU, _V7M, "n", "d", traits=_SHIFTED),
    E("usat", "1111 0011 10.0 nnnn  0... dddd ..0. ....", Kind.ALU, _V7M, "n", "d", traits=_SHIFTED),
    E("sbfx", "1111 0011 0100 nnnn  0... dddd ..0. ....", Kind.ALU, _V7M, "n", "d", traits=_SHIFTED),
    E("bfc", "1111 0011 0110 1111  0... dddd ..0. ....", Kind.ALU, _V7M, "d", "d", traits=_SHIFTED),
    E("bfi", "1111 0011 0110 nnnn  0... dddd ..0. ....", Kind.ALU, _V7M, "dn", "d", traits=_SHIFTED),
    E("ubfx", "1111 0011 1100 nnnn  0... dddd ..0. ....", Kind.ALU, _V7M, "n", "d", traits=_SHIFTED),
)
_BRANCH_AND_CONTROL = (
    E("msr", "1111 0011 1000 nnnn  1000 1000 .... ....", Kind.SPECIAL, _V6M, "n"),
    E("msr", "1111 0011 1000 nnnn  1000 ..00 .... ....", Kind.SPECIAL, _DSP, "n"),
    E("wfe/wfi", "1111 0011 1010 1111  1000 0000 0000 001.", Kind.WAIT, _V7M),
    E("nop/hint", "1111 0011 1010 1111  1000 0000 .... ....", Kind.HINT, _V7M),
    E("clrex", "1111 0011 1011 1111  1000 1111 0010 ....", Kind.HINT, _V7M),
    E("dsb/dmb", "1111 0011 1011 1111  1000 1111 010. ....", Kind.BARRIER, _V6M),
    E("isb", "1111 0011 1011 1111  1000 1111 0110 ....", Kind.BARRIER_INSTRUCTION, _V6M),
    E("mrs", "1111 0011 1110 1111  1000 dddd .... ....", Kind.SPECIAL, _V6M, "", "d"),
    E("udf", "1111 0111 1111 ....  1010 .... .... ....", _UNDEFINED, _NONE),
    E("undefined", "1111 0.11 1... ....  10.0 .... .... ....", _UNDEFINED, _NONE),
    E("b conditional", "1111 0s.. ..ii iiii  10j0 kiii iiii iiii", Kind.BRANCH_CONDITIONAL, _V7M, traits=_READS),
    E("b", "1111 0sii iiii iiii  10j1 kiii iiii iiii", Kind.BRANCH, _V7M),
    E("bl", "1111 0sii iiii iiii  11j1 kiii iiii iiii", Kind.CALL, _V6M, "", "L"),
)
_STORE = tuple(
    row
    for name, size, traits in (("strb", "00", _NARROW), ("strh", "01", _NARROW), ("str", "10", Trait.NONE))
    for row in (
        E("undefined", f"1111 1000 .{size}0 1111  .... .... .... ....", _UNDEFINED, _NONE),
        E(name, f"1111 1000 1{size}0 nnnn  tttt .... .... ....", Kind.STORE, _V7M, "t", "", "n", traits),
        E(name, f"1111 1000 0{size}0 nnnn  tttt 11.0 .... ....", Kind.STORE, _V7M, "t", "", "n", traits),
        E(name, f"1111 1000 0{size}0 nnnn  tttt 11.1 .... ....", Kind.STORE, _V7M, "t", "", "n", traits | _BACK),
        E(name, f"1111 1000 0{size}0 nnnn  tttt 10.1 .... ....", Kind.STORE, _V7M, "t", "", "n", traits | _BACK),
        E(name, f"1111 1000 0{size}0 nnnn  tttt 0000 00.. mmmm", Kind.STORE, _V7M, "t", "", "nm", traits | _OFFSET),
    )
)
_PRELOAD = (
    E("pld/pli literal", "1111 100. .0.1 1111  1111 .... .... ....", Kind.HINT, _V7M),
    E("pld/pli", "1111 100. 10.1 nnnn  1111 .... .... ....", Kind.HINT, _V7M, "", "", "n"),
    E("pld/pli", "1111 100. 00.1 nnnn  1111 1100 .... ....", Kind.HINT, _V7M, "", "", "n"),
    E("pld/pli", "1111 100. 00.1 nnnn  1111 0000 00.. mmmm", Kind.HINT, _V7M, "", "", "nm"),
)


def _loads(name: str, sign: str, size: str, target: str, kind: Kind, traits: Trait) -> tuple[E, ...]:
    writes = "t" if "t" in target else ""
    row = f"1111 100{sign} {{}}{size}1 {{}}  {target} {{}}"
    return (
        E(f"{name} literal", row.format(".", "1111", ".... .... ...."), kind, _V7M, "", writes, "", traits),
        E(name, row.format("1", "nnnn", ".... .... ...."), kind, _V7M, "", writes, "n", traits),
        E(name, row.format("0", "nnnn", "11.0 .... ...."), kind, _V7M, "", writes, "n", traits),
        E(name, row.format("0", "nnnn", "11.1 .... ...."), kind, _V7M, "", writes, "n", traits | _BACK),
        E(name, row.format("0", "nnnn", "10.1 .... ...."), kind, _V7M, "", writes, "n", traits | _BACK),
        E(name, row.format("0", "nnnn", "0000 00.. mmmm"), kind, _V7M, "", writes, "nm", traits | _OFFSET),
    )


_LOAD = (
    *_loads("ldr pc", "0", "10", "1111", Kind.LOAD_PC, Trait.NONE),
    *_loads("ldr", "0", "10", "tttt", Kind.LOAD, Trait.NONE),
    *_loads("ldrb/ldrsb", ".", "00", "tttt", Kind.LOAD, _NARROW),
    *_loads("ldrh/ldrsh", ".", "01", "tttt", Kind.LOAD, _NARROW),
)
_DATA_REGISTER = (
    E("shift", "1111 1010 0..f nnnn  1111 dddd 0000 mmmm", Kind.ALU, _V7M, "nm", "d"),
    E("sxtb16/uxtb16", "1111 1010 001. 1111  1111 dddd 10.. mmmm", Kind.DSP_ALU, _DSP, "m", "d", traits=_SHIFTED),
    E("sxth/uxth", "1111 1010 000. 1111  1111 dddd 10.. mmmm", Kind.ALU, _V7M, "m", "d", traits=_SHIFTED),
    E("sxtb/uxtb", "1111 1010 010. 1111  1111 dddd 10.. mmmm", Kind.ALU, _V7M, "m", "d", traits=_SHIFTED),
    E("undefined", "1111 1010 011. ....  1111 .... 1... ....", _UNDEFINED, _NONE),
    E("sxta/uxta", "1111 1010 0... nnnn  1111 dddd 10.. mmmm", Kind.DSP_ALU, _DSP, "nm", "d", traits=_SHIFTED),
    E("undefined", "1111 1010 1.11 ....  1111 .... 0... ....", _UNDEFINED, _NONE),
    E("undefined", "1111 1010 1... ....  1111 .... 0.11 ....", _UNDEFINED, _NONE),
    E("parallel add/sub", "1111 1010 1... nnnn  1111 dddd 0... mmmm", Kind.DSP_ALU, _DSP, "nm", "d", traits=_SHIFTED),
    E("qadd", "1111 1010 1000 nnnn  1111 dddd 10.. mmmm", Kind.DSP_ALU, _DSP, "nm", "d", traits=_SHIFTED),
    E("rev/rbit", "1111 1010 1001 nnnn  1111 dddd 10.. mmmm", Kind.ALU, _V7M, "m", "d", traits=_SHIFTED),
    E("sel", "1111 1010 1010 nnnn  1111 dddd 1000 mmmm", Kind.DSP_ALU, _DSP, "nm", "d", traits=_SHIFTED),
    E("clz", "1111 1010 1011 nnnn  1111 dddd 1000 mmmm", Kind.ALU, _V7M, "m", "d", traits=_SHIFTED),
)
_MULTIPLY = (
    E("mul", "1111 1011 0000 nnnn  1111 dddd 0000 mmmm", Kind.MULTIPLY, _V7M, "nm", "d"),
    E("mla/mls", "1111 1011 0000 nnnn  aaaa dddd 000. mmmm", Kind.MULTIPLY_ADD, _V7M, "nma", "d"),
    E("smul", "1111 1011 0001 nnnn  1111 dddd 00.. mmmm", Kind.DSP_MULTIPLY, _DSP, "nm", "d"),
    E("smla", "1111 1011 0001 nnnn  aaaa dddd 00.. mmmm", Kind.DSP_MULTIPLY, _DSP, "nma", "d"),
    E("smuad/smulw", "1111 1011 001. nnnn  1111 dddd 000. mmmm", Kind.DSP_MULTIPLY, _DSP, "nm", "d"),
    E("smlad/smlsd", "1111 1011 0010 nnnn  aaaa dddd 000. mmmm", Kind.DSP_MULTIPLY, _DSP, "nma", "d"),
    E("smlaw", "1111 1011 0011 nnnn  aaaa dddd 000. mmmm", Kind.DSP_MULTIPLY, _DSP, "nma", "d"),
    E("smusd", "1111 1011 0100 nnnn  1111 dddd 000. mmmm", Kind.DSP_MULTIPLY, _DSP, "nm", "d"),
    E("smlsd", "1111 1011 0100 nnnn  aaaa dddd 000. mmmm", Kind.DSP_MULTIPLY, _DSP, "nma", "d"),
    E("smmul", "1111 1011 0101 nnnn  1111 dddd 000. mmmm", Kind.DSP_MULTIPLY, _DSP, "nm", "d"),
    E("smmla", "1111 1011 0101 nnnn  aaaa dddd 000. mmmm", Kind.DSP_MULTIPLY, _DSP, "nma", "d"),
    E("smmls", "1111 1011 0110 nnnn  aaaa dddd 000. mmmm", Kind.DSP_MULTIPLY, _DSP, "nma", "d"),
    E("usad8", "1111 1011 0111 nnnn  1111 dddd 0000 mmmm", Kind.DSP_MULTIPLY, _DSP, "nm", "d"),
    E("usada8", "1111 1011 0111 nnnn  aaaa dddd 0000 mmmm", Kind.DSP_MULTIPLY, _DSP, "nma", "d"),
    E("smull/umull", "1111 1011 10.0 nnnn  llll hhhh 0000 mmmm", Kind.LONG_MULTIPLY, _V7M, "nm", "lh"),
    E("sdiv", "1111 1011 1001 nnnn  1111 dddd 1111 mmmm", Kind.DIVIDE, _V7M, "nm", "d"),
    E("udiv", "1111 1011 1011 nnnn  1111 dddd 1111 mmmm", Kind.DIVIDE, _V7M, "nm", "d"),
    E("smlal/umlal", "1111 1011 11.0 nnnn  llll hhhh 0000 mmmm", Kind.LONG_MULTIPLY_ADD, _V7M, "nmlh", "lh"),
    E("smlal halves", "1111 1011 1100 nnnn  llll hhhh 10.. mmmm", Kind.DSP_MULTIPLY, _DSP, "nmlh", "lh"),
    E("smlald/smlsld", "1111 1011 110. nnnn  llll hhhh 110. mmmm", Kind.DSP_MULTIPLY, _DSP, "nmlh", "lh"),
    E("umaal", "1111 1011 1110 nnnn  llll hhhh 0110 mmmm", Kind.DSP_MULTIPLY, _DSP, "nmlh", "lh"),
)

ENCODINGS = (
    *_MULTIPLE,
    *_DUAL_EXCLUSIVE_TABLE,
    *_SHIFTED_REGISTER,
    *_BRANCH_AND_CONTROL,
    *_PLAIN_IMMEDIATE,
    *_MODIFIED_IMMEDIATE,
    *_STORE,
    *_PRELOAD,
    *_LOAD,
    *_DATA_REGISTER,
    *_MULTIPLY,
)
