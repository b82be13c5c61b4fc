"""Primitives of pools, means and layers of few outputs on an emulated Cortex-M4, against their references."""

from __future__ import annotations

import pytest

from tests.support.primitive_programs import compared, every_primitive

PROGRAMS = {
    "accumulate_s8": """
static int8_t input[128];
static int32_t expected[72], actual[72];

int main(void)
{
    for (int32_t count = 0; count <= 64; ++count)
    for (int32_t shift = 0; shift < 4; ++shift) {
        for (int32_t i = 0; i < 128; ++i) {
            input[i] = (int8_t)any();
        }
        for (int32_t i = 0; i < 72; ++i) {
            expected[i] = actual[i] = (int32_t)any() >> 1;
        }
        qmcu_accumulate_s8__ref(input + shift, count, expected + shift);
        qmcu_accumulate_s8__dsp(input + shift, count, actual + shift);
        compare(expected, actual, sizeof actual);
    }
    return report();
}
""",
    "add_runs": """
static int8_t input[2][120], expected[128], actual[128];

/* A sum like that of the library: one operand, or both, has half of the common scale. */
static qmcu_add_scaling_t any_scaling(int32_t out_bits, int32_t which)
{
    const int32_t low = out_bits == 8 ? -128 : 0, high = out_bits == 8 ? 127 : (1 << out_bits) - 1;
    const qmcu_addend_t half = {1 << 30, 0, (int8_t)between(-128, 15)};
    const int32_t any_multiplier = (1 << 30) + (int32_t)(any() & 0x3fffffff);
    const qmcu_addend_t less = {any_multiplier, (int8_t)-between(1, 6), (int8_t)between(0, 15)};
    qmcu_add_scaling_t scaling = {half, which % 4 == 2 ? half : less, (1 << 30) + (int32_t)(any() & 0x3fffffff),
                                  (int8_t)-between(out_bits == 8 ? 15 : 19, 22), which % 11 == 5 ? -1 : 1,
                                  (int8_t)between(low, high), (int8_t)low, (int8_t)high};
    if (which % 2 != 0) {
        const qmcu_addend_t first = scaling.a;
        scaling.a = scaling.b;
        scaling.b = first;
    }
    scaling.b.zero_point = (int8_t)between(0, 15);
    scaling.low = (int8_t)(which % 13 == 7 ? low + 1 : low);
    return scaling;
}

int main(void)
{
    static const uint8_t WIDTHS[3] = {8, 4, 2};
    int32_t which = 0;
    for (int32_t widths = 0; widths < 27; ++widths)
    for (int32_t n = 0; n <= 90; n += n < 20 ? 1 : 7) {
        const qmcu_operand_bits_t bits = {WIDTHS[widths % 3], WIDTHS[widths / 3 % 3], WIDTHS[widths / 9]};
        const qmcu_add_scaling_t scaling = any_scaling(bits.out, which++);
        for (int32_t i = 0; i < 120; ++i) {
            input[0][i] = (int8_t)any();
            input[1][i] = (int8_t)any();
        }
        for (int32_t i = 0; i < 128; ++i) {
            expected[i] = actual[i] = (int8_t)any();
        }
        qmcu_add_runs__ref(input[0] + which % 4, input[1] + which % 3, &scaling, &bits, n, expected + which % 5);
        qmcu_add_runs__dsp(input[0] + which % 4, input[1] + which % 3, &scaling, &bits, n, actual + which % 5);
        compare(expected, actual, sizeof actual);
    }
    return report();
}
""",
    "dot_nibbles": """
static int8_t input[3][160];

int main(void)
{
    for (int32_t words = 0; words <= 32; ++words)
    for (int32_t shift = 0; shift < 8; ++shift) {
        int32_t expected[2] = {(int32_t)any() >> 4, (int32_t)any() >> 4}, actual[2] = {expected[0], expected[1]};
        for (int32_t i = 0; i < 160; ++i) {
            input[0][i] = shift == 5 ? -1 : (int8_t)any();
            input[1][i] = shift == 5 ? (int8_t)0x88 : (int8_t)any();
            input[2][i] = shift == 5 ? 0x77 : (int8_t)any();
        }
        qmcu_dot_nibbles__ref(input[0] + shift, input[1] + shift / 2, input[2], words, expected);
        qmcu_dot_nibbles__dsp(input[0] + shift, input[1] + shift / 2, input[2], words, actual);
        compare(expected, actual, sizeof actual);
    }
    return report();
}
""",
    "dot_nibbles_u2": """
static int8_t values[80], weights[2][160];

int main(void)
{
    for (int32_t words = 0; words <= 16; ++words)
    for (int32_t shift = 0; shift < 16; ++shift) {
        int32_t expected[2] = {(int32_t)any() >> 4, (int32_t)any() >> 4}, actual[2] = {expected[0], expected[1]};
        for (int32_t i = 0; i < 160; ++i) {
            values[i / 2] = shift == 5 ? -1 : (int8_t)any();
            weights[0][i] = shift == 5 ? (int8_t)0x88 : (int8_t)any();
            weights[1][i] = shift == 5 ? 0x77 : (int8_t)any();
        }
        qmcu_dot_nibbles_u2__ref(values + shift % 4, weights[0] + shift / 4, weights[1], words, expected);
        qmcu_dot_nibbles_u2__dsp(values + shift % 4, weights[0] + shift / 4, weights[1], words, actual);
        compare(expected, actual, sizeof actual);
    }
    return report();
}
""",
    "max_s8": """
static int8_t input[128], expected[128], actual[128];

int main(void)
{
    for (int32_t count = 0; count <= 64; ++count)
    for (int32_t shift = 0; shift < 16; ++shift) {
        for (int32_t i = 0; i < 128; ++i) {
            input[i] = (int8_t)any();
            expected[i] = actual[i] = i % 5 == 0 ? (int8_t)(input[i] + between(-1, 1)) : (int8_t)any();
        }
        qmcu_max_s8__ref(input + shift % 4, count, expected + shift / 4);
        qmcu_max_s8__dsp(input + shift % 4, count, actual + shift / 4);
        compare(expected, actual, sizeof actual);
    }
    return report();
}
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_primitives_are_their_references(name, tmp_path):
    runs, differing = compared(PROGRAMS[name], every_primitive(), tmp_path)
    assert runs > 200 and differing == 0
