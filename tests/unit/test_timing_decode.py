"""The decoder against the assembler, the disassembler and capstone: sizes, kinds, and what each core has."""

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from quantmcu_kit.emulate.timing import timing_model
from quantmcu_kit.emulate.timing.decode import ENCODINGS, decode, find_encoding, walk
from quantmcu_kit.emulate.timing.instruction import Extension, Kind, Trait
from tests.support.thumb import ASSEMBLER, FLAGS, OBJDUMP

NEWLIB = Path("/usr/lib/arm-none-eabi/newlib/thumb")
LIBRARIES = {
    "cortex-m0plus": NEWLIB / "v6-m/nofp/libm.a",
    "cortex-m3": NEWLIB / "v7-m/nofp/libm.a",
    "cortex-m4f": NEWLIB / "v7e-m+fp/hard/libm.a",
    "cortex-m7": NEWLIB / "v7e-m+dp/hard/libm.a",
    "cortex-m33": NEWLIB / "v8-m.main+fp/hard/libm.a",
}
CONDITION = "(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?"
# Mnemonic, without its width and type, to kinds. First match counts.
KINDS = (
    (f"b{CONDITION}", {Kind.BRANCH, Kind.BRANCH_CONDITIONAL}),
    ("cbn?z", {Kind.BRANCH_COMPARE}),
    ("bl", {Kind.CALL}),
    (f"bx{CONDITION}", {Kind.BRANCH_REGISTER}),
    (f"blx{CONDITION}", {Kind.CALL_REGISTER}),
    ("tb[bh]", {Kind.BRANCH_TABLE}),
    ("it[te]*", {Kind.IT}),
    ("nop", {Kind.HINT, Kind.ALU}),  # v6-M code has mov r8, r8
    ("pld", {Kind.HINT}),
    ("[us]div.*", {Kind.DIVIDE}),
    ("muls?(eq|ne)?", {Kind.MULTIPLY}),
    ("ml[as].*", {Kind.MULTIPLY_ADD}),
    ("[us]mull.*", {Kind.LONG_MULTIPLY}),
    ("[us]mlal", {Kind.LONG_MULTIPLY_ADD}),
    ("ldrd.*", {Kind.LOAD_DOUBLE}),
    ("strd.*", {Kind.STORE_DOUBLE}),
    ("pop|ldm.*", {Kind.LOAD_MULTIPLE}),
    ("push|stm.*", {Kind.STORE_MULTIPLE}),
    ("ldr.*", {Kind.LOAD, Kind.LOAD_PC}),
    ("str.*", {Kind.STORE}),
    ("vldr.*", {Kind.FP_LOAD}),
    ("vstr.*", {Kind.FP_STORE}),
    ("vldm.*|vpop", {Kind.FP_LOAD_MULTIPLE}),
    ("vstm.*|vpush", {Kind.FP_STORE_MULTIPLE}),
    ("vdiv.*|vsqrt.*", {Kind.FP_DIVIDE}),
    ("v(fn?)?m[al][as].*|vn?ml[as].*|vfn?m[as].*", {Kind.FP_MULTIPLY_ADD}),
    ("v(add|sub|n?mul|cvt|rint|maxnm|minnm).*", {Kind.FP_ARITHMETIC}),
    ("vmov.*", {Kind.FP_MOVE, Kind.FP_TRANSFER, Kind.FP_TRANSFER_TWO}),
    ("vm[rs]+", {Kind.FP_STATUS}),
    ("v(abs|neg|cmp|sel).*", {Kind.FP_MOVE}),
    ("(uadd8|sel|[us]xta[bh]).*", {Kind.DSP_ALU}),
    (".*", {Kind.ALU, Kind.ALU_PC}),
)
LINE = re.compile(r"\s*[0-9a-f]+:\t([0-9a-f]{4})(?: ([0-9a-f]{4}))?\s*\t([a-z][a-z0-9]*)[.\S]*(.*)")


def kinds_of(mnemonic: str) -> set[Kind]:
    return next(kinds for pattern, kinds in KINDS if re.fullmatch(pattern, mnemonic))


@pytest.mark.parametrize("core", LIBRARIES)
def test_a_compiled_library(core):
    """newlib's mathematics: kinds agree with the disassembler's mnemonics, and the core has all of it."""
    library = LIBRARIES[core]
    if not shutil.which(OBJDUMP) or not library.is_file():
        pytest.skip(f"needs {OBJDUMP} and newlib for {core}")
    listing = subprocess.run([OBJDUMP, "-d", library], capture_output=True, text=True, check=True).stdout
    extensions = timing_model(core).extensions
    count = 0
    for first, second, mnemonic, operands in LINE.findall(listing):
        word, size = int(first + second, 16), 4 if second else 2
        ((_, instruction),) = walk(halfwords(word, size), 0, size)
        assert instruction.size == size
        assert instruction.kind in kinds_of(mnemonic), (first, second, mnemonic)
        assert instruction.extension in extensions, (first, second, mnemonic)
        if instruction.kind in (Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE):
            assert instruction.words == names_in_braces(operands), (first, second, operands)
            assert instruction.jumps == ("pc}" in operands)
        count += 1
    assert count > 10_000


def halfwords(word: int, size: int) -> bytes:
    return b"".join((word >> shift & 0xFFFF).to_bytes(2, "little") for shift in range(8 * size - 16, -1, -16))


def names_in_braces(operands: str) -> int:
    return operands[operands.index("{") :].count(",") + 1


# Instructions of every sort; the assembler says which core has which.
LINES = """
movs r0, #1; movs r0, r1; mov r8, r0; mov pc, r0; movw r0, #1; mov.w r0, #1; mov.w r0, r1; movt r0, #1; mvns r0, r1
mvn.w r0, #1; adds r0, r1, r2; adds r0, #3; add r0, r8; add r0, sp, #4; add sp, #8; sub sp, #8; add.w r0, r1, #1
addw r0, r1, #1; adc.w r0, r1, r2; adcs r0, r1; sbcs r0, r1; sbc.w r0, r1, #1; rsbs r0, r1, #0; rsb.w r0, r1, #1
subs r0, #1; sub.w r0, r1, r2; cmp r0, #1; cmp r0, r1; cmp r8, r0; cmn r0, r1; cmn.w r0, #1; cmp.w r0, #1; adr r0, .+8
ands r0, r1; and.w r0, r1, #1; bics r0, r1; bic.w r0, r1, #1; orrs r0, r1; orr.w r0, r1, #1; orn r0, r1, r2
eors r0, r1; eor.w r0, r1, #1; tst r0, r1; tst.w r0, #1; teq r0, r1; lsls r0, r1, #2; lsls r0, r1; lsrs r0, r1, #2
asrs r0, r1, #2; rors r0, r1; lsl.w r0, r1, r2; ror.w r0, r1, #3; rrx r0, r1; clz r0, r1; rbit r0, r1; rev r0, r1
rev16 r0, r1; revsh r0, r1; rev.w r0, r1; sxtb r0, r1; uxth r0, r1; sxtb.w r0, r1; uxtb r0, r1, ror #8; sxtb16 r0, r1
uxtab r0, r1, r2; sxtah r0, r1, r2; uxtb16 r0, r1; pkhbt r0, r1, r2; pkhtb r0, r1, r2, asr #2; bfi r0, r1, #1, #2
bfc r0, #1, #2; ubfx r0, r1, #1, #2; sbfx r0, r1, #1, #2; ssat r0, #3, r1; usat r0, #3, r1; ssat16 r0, #3, r1
usat16 r0, #3, r1; qadd r0, r1, r2; qdsub r0, r1, r2; sadd8 r0, r1, r2; uhasx r0, r1, r2; uqsub16 r0, r1, r2
sel r0, r1, r2; usad8 r0, r1, r2; usada8 r0, r1, r2, r3; muls r0, r1; mul r0, r1, r2; mla r0, r1, r2, r3
mls r0, r1, r2, r3; umull r0, r1, r2, r3; smlal r0, r1, r2, r3; umaal r0, r1, r2, r3; smulbb r0, r1, r2
smlatt r0, r1, r2, r3; smlalbt r0, r1, r2, r3; smlad r0, r1, r2, r3; smuadx r0, r1, r2; smusd r0, r1, r2
smlsd r0, r1, r2, r3; smlald r0, r1, r2, r3; smlsldx r0, r1, r2, r3; smmul r0, r1, r2; smmlar r0, r1, r2, r3
smmls r0, r1, r2, r3; smulwb r0, r1, r2; smlawt r0, r1, r2, r3; udiv r0, r1, r2; sdiv r0, r1, r2; ldr r0, [r1]
ldr r0, [r1, r2]; ldrb r0, [r1, #1]; ldrsh r0, [r1, r2]; ldr r0, [sp, #4]; ldr r0, [pc, #4]; ldr.w r0, [r1, #4]
ldr r0, [r1], #4; ldr r0, [r1, #4]!; ldr.w r0, [pc, #4]; ldr pc, [r0]; ldrt r0, [r1]; ldr r0, [r1, #-4]
ldrd r0, r1, [r2]; ldrd r0, r1, [r2], #8; strd r0, r1, [r2, #8]!; str r0, [r1]; str r0, [r1, r2]; strh r0, [r1, #2]
str r0, [sp, #4]; str.w r0, [r1, r2, lsl #2]; strb r0, [r1], #1; ldm r0!, {r1, r2}; ldm.w r0, {r8, r9}
stm r0!, {r1, r2}; stmdb r0!, {r1, r2}; ldmdb r0, {r1, r2}; push {r0, lr}; pop {r0, pc}; push.w {r0, r8}
pop.w {r8, pc}; ldrex r0, [r1]; strex r0, r1, [r2]; ldrexb r0, [r1]; strexh r0, r1, [r2]; clrex; lda r0, [r1]
stlb r0, [r1]; ldaex r0, [r1]; stlexh r0, r1, [r2]; tt r0, r1; sg; bxns r0; blxns r0; b .+8; beq .+8; b.w .+8
beq.w .+8; bl .+8; bx lr; blx r0; cbz r0, .+8; cbnz r0, .+8; tbb [r0, r1]; tbh [r0, r1, lsl #1]; it eq; nop; nop.w
wfi; wfe; sev; yield; dmb; dsb; isb; mrs r0, primask; msr primask, r0; mrs r0, basepri; cpsid i; svc #0; bkpt #0
pld [r0]; pli [r0]; vadd.f32 s0, s1, s2; vsub.f64 d0, d1, d2; vmul.f32 s0, s1, s2; vnmul.f32 s0, s1, s2
vmla.f32 s0, s1, s2; vmls.f64 d0, d1, d2; vnmls.f32 s0, s1, s2; vfma.f32 s0, s1, s2; vfnms.f64 d0, d1, d2
vdiv.f32 s0, s1, s2; vdiv.f64 d0, d1, d2; vsqrt.f32 s0, s1; vabs.f32 s0, s1; vneg.f64 d0, d1; vcmp.f32 s0, s1
vcmpe.f32 s0, #0; vcmp.f64 d0, d1; vmov.f32 s0, #1.0; vmov.f64 d0, #1.0; vmov.f32 s0, s1; vmov.f64 d0, d1
vcvt.s32.f32 s0, s1; vcvt.f32.u32 s0, s1; vcvt.f64.s32 d0, s1; vcvtr.s32.f32 s0, s1; vcvt.f64.f32 d0, s1
vcvt.f32.s16 s0, s0, #3; vcvtb.f16.f32 s0, s1; vcvtt.f32.f16 s0, s1; vmov s0, r0; vmov r0, s0; vmov r0, r1, d0
vmov s0, s1, r0, r1; vmov.32 d0[1], r0; vmrs APSR_nzcv, fpscr; vmrs r0, fpscr; vmsr fpscr, r0; vldr s0, [r0]
vldr d0, [r0]; vstr s0, [r0]; vldm r0!, {s0-s3}; vldm r0, {d0-d3}; vldmdb r0!, {s0}; vstm r0, {s0}; vpush {d8}
vpop {s16-s18}; vseleq.f32 s0, s1, s2; vselge.f64 d0, d1, d2; vmaxnm.f32 s0, s1, s2; vminnm.f64 d0, d1, d2
vrintz.f32 s0, s1; vrintx.f64 d0, d1; vrinta.f32 s0, s1; vcvtm.s32.f32 s0, s1; vcvtp.u32.f64 s0, d1
"""
# Where the assembler departs from the architecture manual: it takes some for FPUs that lack them, and refuses a
# transfer that table 7-1 of the Cortex-M4's manual lists.
TAKEN = {"vmaxnm.f32 s0, s1, s2", "vcvtm.s32.f32 s0, s1", "vfnms.f64 d0, d1, d2"}
REFUSED = {"vmov.32 d0[1], r0"}
SOURCES = [line.strip() for line in re.split(r"[;\n]", LINES.strip())]


def refused(flags: list[str]) -> set[str]:
    """Lines that the assembler does not take with these flags; by the line number in its messages."""
    text = ".syntax unified\n.thumb\n" + "\n".join(SOURCES) + "\n"
    run = subprocess.run([ASSEMBLER, *flags, "-o", "/dev/null"], input=text, capture_output=True, text=True)
    numbers = re.findall(r"\{standard input\}:(\d+): (?:Error|Fatal)", run.stderr)
    return {SOURCES[int(number) - 3] for number in numbers}


def encoded(folder: Path) -> dict[str, int]:
    """Line to (word, size) by the assembler of a core that has everything."""
    everything = ["-march=armv8-m.main+dsp+fp.dp"]
    target = folder / "all.o"
    text = ".syntax unified\n.thumb\n" + "\n".join(SOURCES) + "\n"
    subprocess.run(
        [ASSEMBLER, *everything, "--no-warn", "-mimplicit-it=thumb", "-o", target], input=text, text=True, check=True
    )
    listing = subprocess.run([OBJDUMP, "-d", target], capture_output=True, text=True, check=True).stdout
    words = re.findall(r"^\s*[0-9a-f]+:\t([0-9a-f]{4})(?: ([0-9a-f]{4}))?\s*\t", listing, re.MULTILINE)
    assert len(words) == len(SOURCES)
    return {
        source: (int(first + second, 16), 4 if second else 2)
        for source, (first, second) in zip(SOURCES, words, strict=True)
    }


@pytest.mark.parametrize("core", LIBRARIES)
def test_illegal_is_what_the_assembler_refuses(core, tmp_path):
    if not shutil.which(ASSEMBLER):
        pytest.skip(f"needs {ASSEMBLER}")
    extensions = timing_model(core).extensions
    illegal = {
        source for source, (word, size) in encoded(tmp_path).items() if decode(word, size).extension not in extensions
    }
    assert illegal - TAKEN - REFUSED == refused(FLAGS[core]) - TAKEN - REFUSED


def test_every_row_is_reached():
    rng = random.Random(1)
    for encoding in ENCODINGS:
        free = (1 << 8 * encoding.size) - 1 & ~encoding.mask
        words = [encoding.value | rng.getrandbits(32) & free for _ in range(200)]
        assert any(find_encoding(word, encoding.size) is encoding for word in words), encoding


def test_random_halfwords_never_raise():
    code = random.Random(2).randbytes(1 << 18)
    offsets = [offset for offset, _ in walk(code, 0, len(code))]
    assert offsets == sorted(set(offsets)) and offsets[-1] >= len(code) - 4


def test_what_no_core_has():
    for text in ("dead", "b650", "ec00 0000", "ee00 0110", "ef00 0000", "f7f0 a000", "fa60 f080", "f800 0800", "4701"):
        word = int(text.replace(" ", ""), 16)
        instruction = decode(word, 4 if " " in text else 2)
        assert instruction.kind is Kind.UNDEFINED and instruction.extension is Extension.NONE, text


def registers(*numbers: int) -> int:
    return sum(1 << number for number in numbers)


@pytest.mark.parametrize(
    "word, size, reads, writes, address",
    [
        (0x5888, 2, (1, 2), (0,), (1, 2)),  # ldr r0, [r1, r2]
        (0xF8510B04, 4, (1,), (0, 1), (1,)),  # ldr r0, [r1], #4
        (0xF8431022, 4, (1, 2, 3), (), (2, 3)),  # str.w r1, [r3, r2, lsl #2]
        (0xE9C20100, 4, (0, 1, 2), (), (2,)),  # strd r0, r1, [r2]
        (0xB510, 2, (4, 13, 14), (13,), (13,)),  # push {r4, lr}
        (0xBD10, 2, (13,), (4, 13), (13,)),  # pop {r4, pc}
        (0x4488, 2, (1, 8), (8,), ()),  # add r8, r1
        (0x4281, 2, (0, 1), (), ()),  # cmp r1, r0
        (0xFBE23401, 4, (1, 2, 3, 4), (3, 4), ()),  # umlal r3, r4, r2, r1
        (0xFB210302, 4, (0, 1, 2), (3,), ()),  # smlad r3, r1, r2, r0
        (0xF3610445, 4, (1, 4), (4,), ()),  # bfi r4, r1, #1, #5
        (0xF7FFFFFE, 4, (), (14,), ()),  # bl
    ],
)
def test_registers(word, size, reads, writes, address):
    instruction = decode(word, size)
    assert instruction.reads == registers(*reads)
    assert instruction.writes == registers(*writes)
    assert instruction.address == registers(*address)


@pytest.mark.parametrize(
    "word, size, displacement",
    [(0xD1FC, 2, -4), (0xE7FE, 2, 0), (0xB118, 2, 10), (0xF7FFFFFE, 4, 0), (0xF43FAFFC, 4, -4), (0xF000B800, 4, 4)],
)
def test_displacements(word, size, displacement):
    assert decode(word, size).displacement == displacement


def test_addends():
    assert decode(0xFB210302, 4).addend == registers(0)  # smlad r3, r1, r2, r0
    assert decode(0xFBE23401, 4).addend == registers(3, 4)  # umlal r3, r4, r2, r1
    assert decode(0xFB210102, 4).addend == registers(0)  # smlad r1, r1, r2, r0
    assert decode(0xFB200002, 4).addend == 0  # smlad r0, r0, r2, r0: the product needs it too
    assert decode(0xFB210200, 4).addend == 0  # smlad r2, r1, r0, r0
    assert decode(0xEE000A81, 4).fp_addend == registers(0)  # vmla.f32 s0, s1, s2
    assert decode(0xEE000A01, 4).fp_addend == 0  # vmla.f32 s0, s0, s2


def test_traits():
    assert Trait.SETS_FLAGS in decode(0x1C40, 2).traits  # adds r0, r0, #1
    assert Trait.SHIFTED in decode(0xEB010082, 4).traits  # add.w r0, r1, r2, lsl #2
    assert Trait.SHIFTED not in decode(0xEB010002, 4).traits  # add.w r0, r1, r2
