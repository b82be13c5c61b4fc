"""The FPU's encodings (ARMv7-M Architecture Reference Manual, A6; FPv5 as ARMv8-M has it). First match counts."""

from __future__ import annotations

from quantmcu_kit.emulate.timing.encoding import Encoding as E
from quantmcu_kit.emulate.timing.instruction import Extension, Kind, Trait

_FP, _BACK, _DOUBLE = Extension.FP_SINGLE, Trait.WRITE_BACK, Trait.DOUBLE


def _arithmetic(
    name: str,
    high: str,
    low: str,
    kind: Kind,
    reads: str,
    writes: str = "D",
    addend: str = "",
    *,
    five: bool = False,
) -> tuple[E, E]:
    """A row for singles and one for doubles; ``low`` is what follows the size bit."""
    single, double = (
        (Extension.FP5_SINGLE, Extension.FP5_DOUBLE) if five else (Extension.FP_SINGLE, Extension.FP_DOUBLE)
    )
    operands = {"fp_reads": reads, "fp_writes": writes, "fp_addend": addend}
    return (
        E(name, f"{high} DDDD 1010 {low}", kind, single, **operands),
        E(name, f"{high} DDDD 1011 {low}", kind, double, traits=_DOUBLE, **operands),
    )


_TWO = Kind.FP_TRANSFER_TWO
_TRANSFER = (
    E("vmov to single", "1110 1110 0000 NNNN  tttt 1010 y001 0000", Kind.FP_TRANSFER, _FP, "t", fp_writes="N"),
    E("vmov to core", "1110 1110 0001 NNNN  tttt 1010 y001 0000", Kind.FP_TRANSFER, _FP, "", "t", fp_reads="N"),
    E("vmov to half", "1110 1110 00.0 NNNN  tttt 1011 y001 0000", Kind.FP_TRANSFER, _FP, "t", "", "", _DOUBLE, "", "N"),
    E("vmov from half", "1110 1110 00.1 NNNN  tttt 1011 y001 0000", Kind.FP_TRANSFER, _FP, "", "t", "", _DOUBLE, "N"),
    E("vmsr", "1110 1110 1110 0001  tttt 1010 0001 0000", Kind.FP_STATUS, _FP, "t"),
    E("vmrs flags", "1110 1110 1111 0001  1111 1010 0001 0000", Kind.FP_STATUS, _FP, traits=Trait.SETS_FLAGS),
    E("vmrs", "1110 1110 1111 0001  tttt 1010 0001 0000", Kind.FP_STATUS, _FP, "", "t"),
    E("vmov pair to fpu", "1110 1100 0100 uuuu  tttt 101w 00z1 MMMM", _TWO, _FP, "tu", fp_writes="M"),
    E("vmov pair to core", "1110 1100 0101 uuuu  tttt 101w 00z1 MMMM", _TWO, _FP, "", "tu", fp_reads="M"),
)
_LOADS, _STORES = Kind.FP_LOAD_MULTIPLE, Kind.FP_STORE_MULTIPLE
_MEMORY = (
    E("vlstm/vlldm", "1110 1100 001. nnnn  0000 1010 0000 0000", _LOADS, Extension.V8M, "", "", "n"),
    E("vstr", "1110 1101 .x00 nnnn  DDDD 101w .... ....", Kind.FP_STORE, _FP, "", "", "n", fp_reads="D"),
    E("vldr", "1110 1101 .x01 nnnn  DDDD 101w .... ....", Kind.FP_LOAD, _FP, "", "", "n", fp_writes="D"),
    E("vpush", "1110 1101 0x10 1101  DDDD 101w cccc cccc", _STORES, _FP, "", "", "S", _BACK, fp_reads="D"),
    E("vpop", "1110 1100 1x11 1101  DDDD 101w cccc cccc", _LOADS, _FP, "", "", "S", _BACK, fp_writes="D"),
    E("vstm", "1110 1100 1x00 nnnn  DDDD 101w cccc cccc", _STORES, _FP, "", "", "n", fp_reads="D"),
    E("vstm", "1110 1100 1x10 nnnn  DDDD 101w cccc cccc", _STORES, _FP, "", "", "n", _BACK, fp_reads="D"),
    E("vstmdb", "1110 1101 0x10 nnnn  DDDD 101w cccc cccc", _STORES, _FP, "", "", "n", _BACK, fp_reads="D"),
    E("vldm", "1110 1100 1x01 nnnn  DDDD 101w cccc cccc", _LOADS, _FP, "", "", "n", fp_writes="D"),
    E("vldm", "1110 1100 1x11 nnnn  DDDD 101w cccc cccc", _LOADS, _FP, "", "", "n", _BACK, fp_writes="D"),
    E("vldmdb", "1110 1101 0x11 nnnn  DDDD 101w cccc cccc", _LOADS, _FP, "", "", "n", _BACK, fp_writes="D"),
)
_ADD, _MAC, _MOVE = Kind.FP_ARITHMETIC, Kind.FP_MULTIPLY_ADD, Kind.FP_MOVE
_ARITHMETIC = (
    *_arithmetic("vmla/vmls", "1110 1110 0x00 NNNN", "y.z0 MMMM", _MAC, "NM", addend="D"),
    *_arithmetic("vnmla/vnmls", "1110 1110 0x01 NNNN", "y.z0 MMMM", _MAC, "NM", addend="D"),
    *_arithmetic("vmul/vnmul", "1110 1110 0x10 NNNN", "y.z0 MMMM", _ADD, "NM"),
    *_arithmetic("vadd/vsub", "1110 1110 0x11 NNNN", "y.z0 MMMM", _ADD, "NM"),
    *_arithmetic("vdiv", "1110 1110 1x00 NNNN", "y0z0 MMMM", Kind.FP_DIVIDE, "NM"),
    *_arithmetic("vfnma/vfnms", "1110 1110 1x01 NNNN", "y.z0 MMMM", _MAC, "NM", addend="D"),
    *_arithmetic("vfma/vfms", "1110 1110 1x10 NNNN", "y.z0 MMMM", _MAC, "NM", addend="D"),
    *_arithmetic("vmov immediate", "1110 1110 1x11 ....", "0000 ....", _MOVE, ""),
    *_arithmetic("vmov/vabs", "1110 1110 1x11 0000", ".1z0 MMMM", _MOVE, "M"),
    *_arithmetic("vneg", "1110 1110 1x11 0001", "01z0 MMMM", _MOVE, "M"),
    *_arithmetic("vsqrt", "1110 1110 1x11 0001", "11z0 MMMM", Kind.FP_DIVIDE, "M"),
    *_arithmetic("vcmp", "1110 1110 1x11 0100", ".1z0 MMMM", _MOVE, "DM", ""),
    *_arithmetic("vcmp zero", "1110 1110 1x11 0101", ".100 0000", _MOVE, "D", ""),
    *_arithmetic("vrintr/vrintz", "1110 1110 1x11 0110", ".1z0 MMMM", _ADD, "M", five=True),
    *_arithmetic("vrintx", "1110 1110 1x11 0111", "01z0 MMMM", _ADD, "M", five=True),
    *_arithmetic("vcvt fixed", "1110 1110 1x11 1.1.", ".1.0 ....", _ADD, "D"),
    *_arithmetic("vcvt from integer", "1110 1110 1x11 1000", ".1z0 MMMM", _ADD, "M"),
    *_arithmetic("vcvt to integer", "1110 1110 1x11 110.", ".1z0 MMMM", _ADD, "M"),
    *_arithmetic("vsel", "1111 1110 0x.. NNNN", "y0z0 MMMM", _MOVE, "NM", five=True),
    *_arithmetic("vmaxnm/vminnm", "1111 1110 1x00 NNNN", "y.z0 MMMM", _ADD, "NM", five=True),
    *_arithmetic("vrint directed", "1111 1110 1x11 10..", "01z0 MMMM", _ADD, "M", five=True),
    *_arithmetic("vcvt directed", "1111 1110 1x11 11..", ".1z0 MMMM", _ADD, "M", five=True),
)
_CONVERT = (
    E("vcvt half", "1110 1110 1x11 001.  DDDD 1010 .1z0 MMMM", _ADD, _FP, fp_reads="M", fp_writes="D"),
    E("vcvt half", "1110 1110 1x11 001.  DDDD 1011 .1z0 MMMM", _ADD, Extension.FP5_DOUBLE, fp_reads="M", fp_writes="D"),
    E("vcvt size", "1110 1110 1x11 0111  DDDD 101. 11z0 MMMM", _ADD, Extension.FP_DOUBLE, fp_reads="M", fp_writes="D"),
)

ENCODINGS = (*_TRANSFER, *_MEMORY, *_CONVERT, *_ARITHMETIC)
