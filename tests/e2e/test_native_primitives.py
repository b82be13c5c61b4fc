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
