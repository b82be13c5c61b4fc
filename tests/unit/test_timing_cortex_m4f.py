"""Cortex-M4 programs, counted by hand from its Technical Reference Manual (Arm DDI 0439D)."""

import pytest

from quantmcu_kit.emulate.timing import analyse
from tests.support.thumb import Program, assembled, timing_of

CORE = "cortex-m4f"

# (cycles of each instruction in sequence, {index: entry_extra}, {index: taken_extra}); others are 0.
PROGRAMS = (
    # Table 3-1: data processing 1
    Program(
        "adds r0, #1; eor r1, r2, r3, lsl #4; movw r4, #4660; bfi r4, r0, #3, #5; ubfx r1, r4, #2, #9",
        "013082ea031141f2342460f3c704c4f38801",
        [1] * 5,
    ),
    Program(
        "ssat r0, #8, r1; usat r2, #5, r3, asr #3; clz r0, r0; rbit r1, r1; lsl.w r2, r3, r4",
        "01f30700a3f3c502b0fa80f091faa1f103fa04f2",
        [1] * 5,
    ),
    # Tables 3-1 and 3-2: multiplies of all sorts 1
    Program(
        "mul r0, r1, r2; mla r0, r1, r2, r3; mls r4, r5, r6, r7; umull r0, r1, r2, r3",
        "01fb02f001fb023005fb1674a2fb0301",
        [1] * 4,
    ),
    Program(
        "umlal r0, r1, r2, r3; umaal r0, r1, r2, r3; smlalbb r0, r1, r2, r3; smlald r0, r1, r2, r3",
        "e2fb0301e2fb6301c2fb8301c2fbc301",
        [1] * 4,
    ),
    Program(
        "smlad r0, r1, r2, r0; smlabb r0, r1, r2, r0; smmlar r0, r1, r2, r3; smlawb r0, r1, r2, r3",
        "21fb020011fb020051fb123031fb0230",
        [1] * 4,
    ),
    Program(
        "sxtb16 r0, r1, ror #8; uxtab16 r0, r1, r2; pkhbt r0, r1, r2, lsl #16; qadd r0, r1, r2; sel r0, r1, r2",
        "2ffa91f031fa82f0c1ea024082fa81f0a1fa82f0",
        [1] * 5,
    ),
    # Loads 2, each next one 1
    Program("ldr r0, [r1]; adds r2, #1", "08680132", [2, 1]),
    Program("ldr r0, [r1]; ldr r1, [r2]", "08681168", [2, 1], {1: 1}),  # section 3.3.2: three cycles
    Program(
        "ldr r0, [r1, r5]; ldr r1, [r2]; ldr r2, [r3, #4]", "485911685a68", [2, 1, 1], {1: 1, 2: 1}
    ),  # section 3.3.2: four
    Program("ldrb r0, [r1]; ldrsh r2, [r3, r4]; ldrh.w r5, [r6, #100]", "08781a5fb6f86450", [2, 1, 1], {1: 1, 2: 1}),
    # The address comes from the load before: not pipelined
    Program("ldr r0, [r1]; ldr r2, [r0]", "08680268", [2, 2]),
    Program("ldr r0, [r1]; ldr r2, [r3, r0]", "08681a58", [2, 2]),
    # The base was updated by the load before
    Program("ldr r0, [r1], #4; ldr r2, [r1], #4", "51f8040b51f8042b", [2, 2]),
    Program("ldr r0, [r1], #4; ldr r2, [r3], #4", "51f8040b53f8042b", [2, 1], {1: 1}),
    # The address comes from data processing: one more
    Program("adds r1, #4; ldr r0, [r1]", "04310868", [1, 3], {1: -1}),
    Program("mul r1, r2, r3; strb r0, [r4, r1]", "02fb03f16054", [1, 3], {1: -1}),
    Program("add r1, r2; str r1, [r3]", "11441960", [1, 1]),  # the stored value may come late
    Program("sub sp, #8; push {r4, lr}", "82b010b5", [1, 4], {1: -1}),
    # Stores: immediate offset 1, register offset 2, or 1 after a load
    Program("str r0, [r1]; str r2, [r1, #4]; strb r3, [r1, #9]", "08604a604b72", [1, 1, 1]),
    Program("str r0, [r1, r2]; str r3, [r4]", "88502360", [2, 1]),
    Program("ldr r0, [r1, r2]; str r0, [r3, #20]", "88585861", [2, 1]),  # section 3.3.2: three cycles
    Program("ldr r0, [r1, r2]; str r1, [r3, r2]", "88589950", [2, 1], {1: 1}),  # section 3.3.2: three cycles
    Program("str r0, [r1]; ldr r2, [r3]", "08601a68", [1, 2]),  # nothing pipelines after a store
    # Literals and semaphores pipeline like loads
    Program("ldr r0, [pc, #4]; ldr r1, [pc, #4]", "01480149", [2, 1], {1: 1}),
    Program("ldrex r0, [r1]; strex r2, r0, [r1]", "51e8000f41e80002", [2, 1], {1: 1}),
    # Multiple: 1 + N, never pipelined; doubles 3
    Program("ldm r0!, {r1, r2, r3}; ldr r4, [r5]", "0ec82c68", [4, 2]),
    Program(
        "ldr r4, [r5]; stm r0!, {r1, r2, r3, r6, r7}; ldrd r2, r3, [r0]; strd r2, r3, [r0, #8]",
        "2c68cec0d0e90023c0e90223",
        [2, 6, 3, 3],
    ),
    Program("push {r4, r5, r6, lr}; pop {r4, r5, r6}", "70b570bc", [5, 4]),
    Program("stmdb sp!, {r4-r11, lr}; ldm.w sp!, {r4-r11, pc}", "2de9f04fbde8f08f", [10, 10], {}, {1: 3}),
    # Branches 1, and 2 more when taken
    Program("subs r0, #1; bne .-2", "0138fdd1", [1, 1], {}, {1: 2}),
    Program(
        "cbz r0, .+8; b .+4; bl .+8; bx lr; blx r3", "10b100e000f002f870479847", [1] * 5, {}, dict.fromkeys(range(5), 2)
    ),
    Program(
        "mov pc, r0; add pc, r1; beq.w .+400; b.w .+4000",
        "87468f4400f0c68000f0cebf",
        [1] * 4,
        {},
        dict.fromkeys(range(4), 2),
    ),
    # Section 3.3.2: LDR PC at least 5, TBB at least 6
    Program("ldr pc, [r0]; ldr pc, [r1, r2, lsl #2]", "d0f800f051f822f0", [2, 2], {}, {0: 3, 1: 3}),
    Program("tbb [pc, r0]; tbh [pc, r1, lsl #1]", "dfe800f0dfe811f0", [3, 3], {}, {0: 3, 1: 3}),
    # An IT block as executed, IT itself 1
    Program(
        "cmp r0, #0; it eq; moveq r1, r2; ite ne; ldrne r0, [r1]; addeq r0, #1",
        "002808bf114614bf08680130",
        [1, 1, 1, 1, 2, 1],
    ),
    # Divides: the fewest
    Program("udiv r0, r1, r2; sdiv r3, r4, r5", "b1fbf2f094fbf5f3", [2, 2]),
    # The rest of table 3-1
    Program(
        "nop; dmb; dsb; isb; mrs r0, primask; msr primask, r0; cpsid i",
        "00bfbff35f8fbff34f8fbff36f8feff3108080f3108872b6",
        [1, 1, 1, 3, 2, 2, 2],
    ),
    # Table 7-1
    Program(
        "vadd.f32 s0, s1, s2; vmul.f32 s3, s4, s5; vcvt.f32.s32 s6, s7; vabs.f32 s8, s9",
        "30ee810a62ee221ab8eee33ab0eee44a",
        [1] * 4,
    ),
    Program(
        "vmla.f32 s0, s1, s2; vfma.f32 s3, s4, s5; vdiv.f32 s6, s7, s8; vsqrt.f32 s9, s10",
        "00ee810ae2ee221a83ee843af1eec54a",
        [3, 3, 14, 14],
    ),
    Program(
        "vldr s0, [r0]; vldr d1, [r0]; vstr s0, [r0]; vstr d1, [r0]", "90ed000a90ed001b80ed000a80ed001b", [2, 3, 2, 3]
    ),
    Program(
        "vldm r0!, {s0-s4}; vldm r0, {d0-d2}; vpush {d8-d9}; vpop {s16}",
        "b0ec050a90ec060b2ded048bbdec018a",
        [6, 7, 5, 2],
    ),
    Program(
        "vmov s0, r0; vmov r1, s1; vmov r2, r3, d4; vmov d5, r6, r7; vmov s2, s3",
        "00ee100a10ee901a53ec142b47ec156bb0ee611a",
        [1, 1, 2, 2, 1],
    ),
    Program("vcmp.f32 s0, s1; vmrs APSR_nzcv, fpscr; vmov.f32 s0, #1.0", "b4ee600af1ee10fab7ee000a", [1, 1, 1]),
    # Section 7.2.3: a result used at once costs 1 more, except as the addend of a multiply-add
    Program("vmul.f32 s0, s1, s2; vadd.f32 s3, s0, s4", "20ee810a70ee021a", [1, 2], {1: -1}),
    Program(
        "vmul.f32 s0, s1, s2; vmla.f32 s0, s4, s5; vmla.f32 s6, s0, s5; vstr s6, [r0]",
        "20ee810a02ee220a00ee223a80ed003a",
        [1, 3, 4, 3],
        {2: -1, 3: -1},
    ),
    Program("vldr s0, [r0]; vadd.f32 s3, s0, s4", "90ed000a70ee021a", [2, 1]),
)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.source)
def test_cycles(program):
    timing = timing_of(CORE, program)
    assert timing.cycles == program.cycles
    assert timing.entry_extra == [program.entry_extra.get(index, 0) for index in range(len(program.cycles))]
    assert timing.taken_extra == [program.taken_extra.get(index, 0) for index in range(len(program.cycles))]
    assert timing.illegal == 0


def test_bytes_are_the_sources():
    assert [program.code for program in PROGRAMS] == assembled(CORE, PROGRAMS)


def test_dot_product_loop():
    # Per iteration: 2 + 1 (load pair) + 1 (smlad) + 1 (subs) + 1 + 2 (taken) = 8, the last one 6.
    program = Program(
        "ldr r3, [r0], #4; ldr r4, [r1], #4; smlad r2, r3, r4, r2; subs r5, #1; bne .-14",
        "50f8043b51f8044b23fb0422013df7d1",
        [2, 1, 1, 1, 1],
    )
    timing = analyse(CORE, program.code, 0x1000, [(0x1000, 0x1000 + len(program.code))])
    body = int(timing.cycles.sum())
    taken = int(timing.taken_extra[-1]) + int(timing.entry_extra[0])
    assert 10 * body + 9 * taken == 9 * 8 + 6
