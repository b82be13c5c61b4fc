"""Programs on the other cores: by the manuals' tables where there are any, else by the model's stated rules."""

import pytest

from tests.support.thumb import Program, assembled, timing_of

# Cortex-M3 Technical Reference Manual (Arm 100165), table 3-1 and section 3.3.2
M3 = (
    Program(
        "adds r0, #1; eor r1, r2, r3, lsl #4; bfi r4, r0, #3, #5; ssat r0, #8, r1",
        "013082ea031160f3c70401f30700",
        [1] * 4,
    ),
    Program("muls r0, r1; mla r0, r1, r2, r3; mls r0, r1, r2, r3", "484301fb023001fb1230", [1, 2, 2]),
    Program(
        "umull r0, r1, r2, r3; smull r0, r1, r2, r3; umlal r0, r1, r2, r3; smlal r0, r1, r2, r3",
        "a2fb030182fb0301e2fb0301c2fb0301",
        [5, 5, 7, 7],
    ),
    Program("udiv r0, r1, r2; nop; mrs r0, primask; isb", "b1fbf2f000bfeff31080bff36f8f", [2, 1, 2, 3]),
    Program("ldr r0, [r1, r5]; ldr r1, [r2]; ldr r2, [r3, #4]", "485911685a68", [2, 1, 1], {1: 1, 2: 1}),
    Program(
        "ldr r0, [r1], #4; ldr r2, [r3], #4; ldr r4, [r3, #4]", "51f8040b53f8042b5c68", [2, 2, 2]
    ),  # measured: none behind an update
    Program("ldr r0, [r1], #4; ldr r2, [r3, #4]", "51f8040b5a68", [2, 1], {1: 1}),
    Program("ldr r0, [r1, r2]; str r1, [r3, r2]; str r1, [r3, r2]", "885899509950", [2, 1, 2], {1: 1}),
    Program("adds r1, #4; ldr r0, [r1]", "04310868", [1, 3], {1: -1}),
    Program("push {r4, r5, lr}; ldrd r0, r1, [r2]; pop {r4, r5, pc}", "30b5d2e9000130bd", [4, 3, 4], {}, {2: 3}),
    Program(
        "subs r0, #1; bne .-2; bl .+400; tbb [pc, r0]", "0138fdd100f0c6f8dfe800f0", [1, 1, 1, 3], {}, {1: 2, 2: 2, 3: 3}
    ),
)

# Cortex-M0+ Technical Reference Manual (Arm DDI 0484C), table 3-1
M0PLUS = (
    Program(
        "adds r0, #1; muls r0, r1; lsls r0, r1; uxtb r0, r1; revsh r0, r1; mov r8, r0; add sp, #8",
        "013048438840c8b2c8ba804602b0",
        [1] * 7,
    ),
    Program("ldr r0, [r1]; ldrb r2, [r3, r4]; ldr r5, [pc, #4]; ldr r6, [sp, #4]", "08681a5d014d019e", [2] * 4),
    Program("str r0, [r1]; strh r2, [r3, r4]; str r6, [sp, #4]", "08601a530196", [2] * 3),
    Program(
        "ldm r0!, {r1, r2, r3}; stm r0!, {r1, r2}; push {r4, r5, lr}; pop {r4, r5}", "0ec806c030b530bc", [4, 3, 4, 3]
    ),
    Program("pop {r4, r5, pc}", "30bd", [4], {}, {0: 2}),  # 3 + N
    Program(
        "bne .+8; b .+8; bx lr; blx r3; mov pc, r0; add pc, r1",
        "02d102e07047984787468f44",
        [1] * 6,
        {},
        dict.fromkeys(range(6), 1),
    ),
    Program("bl .+400", "00f0c6f8", [2], {}, {0: 1}),  # 3
    Program(
        "mrs r0, primask; msr primask, r0; dmb; dsb; isb; cpsid i; nop; wfi",
        "eff3108080f31088bff35f8fbff34f8fbff36f8f72b6c04630bf",
        [3, 3, 3, 3, 3, 1, 1, 2],
    ),
)

# The rules in cortex_m7.py
M7 = (
    Program("adds r0, #1; adds r1, #1; adds r2, #1; adds r3, #1", "0130013101320133", [1, 0, 1, 0], {1: 1, 3: 1}),
    Program("adds r0, #1; adds r0, #1; adds r0, #1", "013001300130", [1, 1, 1]),  # a chain
    Program(
        "add r0, r1, r2, lsl #2; ubfx r3, r4, #1, #2; uadd8 r5, r6, r7", "01eb8200c4f3410386fa47f5", [1, 1, 1]
    ),  # one shifter
    Program(
        "smlad r0, r1, r2, r0; smlad r0, r3, r4, r0; adds r5, #1", "21fb020023fb04000135", [1, 1, 0], {2: 1}
    ),  # one a cycle, chained
    Program("mul r0, r1, r2; mul r3, r0, r4", "01fb02f000fb04f3", [1, 2], {1: -1}),  # a product is one cycle late
    Program("ldr r0, [r1]; ldr r2, [r3]; adds r4, #1; str r5, [r6]", "08681a6801343560", [1, 1, 0, 1], {2: 1}),
    Program("ldr r0, [r1]; str r0, [r2]", "08681060", [1, 0], {1: 1}),  # a store takes a result of its cycle
    Program("ldr r0, [r1]; ldr r2, [r0]; ldrb r3, [r4]; adds r3, #1", "0868026823780133", [1, 3, 1, 2], {1: -2, 3: -1}),
    Program(
        "ldm r0!, {r1, r2, r3, r4, r5}; ldrd r2, r3, [r6]; pop {r4, pc}", "3ec8d6e9002310bd", [3, 1, 1], {}, {2: 1}
    ),
    Program("adds r0, #1; subs r7, #1; bne .-4", "0130013ffcd1", [1, 0, 1], {1: 1}, {2: 0}),
    Program("adds r1, #1; subs r0, #1; bne .-2", "01310138fdd1", [1, 1, 0], {2: 1}, {2: 0}),  # a loop of one cycle
    Program(
        "vadd.f32 s0, s1, s2; vmul.f32 s3, s0, s4; vadd.f64 d4, d5, d6; vdiv.f64 d7, d8, d9",
        "30ee810a60ee021a35ee064b88ee097b",
        [1, 3, 4, 30],
        {1: -2},
    ),
    Program(
        "vfma.f32 s0, s1, s2; vfma.f32 s0, s3, s4; adds r0, #1; udiv r0, r1, r2",
        "a0ee810aa1ee820a0130b1fbf2f0",
        [1, 3, 0, 2],
        {1: -2, 2: 1},
    ),
)

# The rules in cortex_m33.py
M33 = (
    Program("adds r0, #1; adds r1, #1; ldr r2, [r3]; ldr r4, [r5]; str r6, [r7]", "013001311a682c683e60", [1] * 5),
    Program("ldr r0, [r1]; adds r0, #1; ldr r0, [r1]; str r0, [r2]", "0868013008681060", [1, 2, 1, 1], {1: -1}),
    Program(
        "smlad r0, r1, r2, r0; smlad r0, r3, r4, r0; add r5, r0, r1", "21fb020023fb040000eb0105", [1, 1, 2], {2: -1}
    ),
    Program(
        "ldm r0!, {r1, r2, r3}; ldrd r4, r5, [r6]; push {r0, r1}; muls r0, r1", "0ec8d6e9004503b44843", [3, 2, 2, 2]
    ),
    Program("adds r1, #1; subs r0, #1; bne .-2", "01310138fdd1", [1, 1, 0], {2: 1}, {2: 2}),  # 2 taken, 0 not
    Program("subs r0, #1; mov r1, r2; bne .-4", "01381146fcd1", [1, 1, 0], {2: 1}, {2: 1}),  # 1 taken, 0 not
    Program(
        "subs.w r0, r0, #1; bne .-4; bx lr", "b0f10100fcd17047", [1, 1, 1], {}, {1: 1, 2: 2}
    ),  # no pair with 32 bits
    Program(
        "cmp r0, #0; it eq; moveq r1, r2; nop; stl r0, [r1]", "002808bf114600bfc1e8af0f", [1, 0, 1, 0, 1], {1: 1, 3: 1}
    ),
    Program(
        "vfma.f32 s0, s1, s2; vmul.f32 s3, s4, s5; vadd.f32 s6, s3, s7; vldr d0, [r0]",
        "a0ee810a62ee221a31eea33a90ed000b",
        [1, 3, 2, 2],
        {1: -2, 2: -1},
    ),
    Program("sdiv r0, r1, r2; isb", "91fbf2f0bff36f8f", [2, 3]),
)
ALL = {"cortex-m3": M3, "cortex-m0plus": M0PLUS, "cortex-m7": M7, "cortex-m33": M33}


@pytest.mark.parametrize(
    "core, program",
    [(core, program) for core, programs in ALL.items() for program in programs],
    ids=lambda value: value if isinstance(value, str) else value.source,
)
def test_cycles(core, program):
    timing = timing_of(core, program)
    assert timing.cycles == program.cycles
    assert timing.entry_extra == [program.entry_extra.get(index, 0) for index in range(len(program.cycles))]
    assert timing.taken_extra == [program.taken_extra.get(index, 0) for index in range(len(program.cycles))]
    assert timing.illegal == 0


@pytest.mark.parametrize("core", ALL)
def test_bytes_are_the_sources(core):
    assert [program.code for program in ALL[core]] == assembled(core, ALL[core])
