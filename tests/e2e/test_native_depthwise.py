"""Depthwise kernels on an emulated Cortex-M4: primitives against their references, whole kernels against integers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from quantmcu_kit.ops.interpret import Interpreter
from tests.e2e.test_packed_kernels_on_a_board import inputs_of, run_on_board, side_by_side
from tests.support.primitive_programs import FLOAT_ABIS, compared, every_primitive
from tests.unit import test_depthwise_variants

EVERY = 7  # case of the list that the host runs
LEAST_RUNS = 100
ROWS = """
#define BYTES 8192
static _Alignas(4) int8_t input[BYTES], expected[BYTES], actual[BYTES];
static int32_t channels[8 * 64];

static void spoil(void)
{
    for (int i = 0; i < BYTES; ++i) {
        input[i] = (int8_t)any();
    }
    memset(expected, 0x5a, sizeof expected);
    memset(actual, 0x5a, sizeof actual);
}

static void check(void) { compare(expected, actual, sizeof actual); }
"""
PROGRAMS = {
    "pair_rows": """
int main(void)
{
    for (int32_t bits = 2; bits <= 8; bits *= 2)
    for (int32_t count = 0; count <= 9; ++count)
    for (int32_t shift = 0; shift < 4; ++shift)
    for (int32_t still = 0; still < 4; ++still) {
        const qmcu_row_pair_t rows = {{input + shift, input + 1000 + 3 * shift},
                                      {still == 1 ? 0 : 13, still == 2 ? 0 : still == 3 ? 13 : 11 + shift},
                                      shift == 3, count, count & 3, 0xfff3fff3u, bits};
        spoil();
        qmcu_pair_rows__ref(&rows, 4 * (1 + shift), (uint32_t *)expected + 4);
        qmcu_pair_rows__dsp(&rows, 4 * (1 + shift), (uint32_t *)actual + 4);
        check();
    }
    return report();
}
""",
    "planes_lanes": """
int main(void)
{
    for (int32_t number = 1; number <= 4; ++number)
    for (int32_t i = 0; i < 40; ++i) {
        for (int32_t c = 0; c < 4 * number; ++c) {
            channels[c] = (int32_t)any();
        }
        for (int32_t c = 0; c < number; ++c) {
            channels[4 * c + 3] = between(0, 30) | between(1, 258) * 256;
        }
        spoil();
        qmcu_planes_lanes_3__ref(input + i, channels, number, (uint32_t *)expected + 1);
        qmcu_planes_lanes_3__dsp(input + i, channels, number, (uint32_t *)actual + 1);
        check();
    }
    return report();
}
""",
    "planes_row": """
/* Words of values; lanes whose sums stay below 2^31 and whose results are of every size. */
static void fill(int32_t number, int32_t words, int32_t form, int32_t most)
{
    for (int32_t i = 0; i < BYTES / 2; ++i) {
        ((int16_t *)input)[i] = (int16_t)between(-128, 127);
    }
    for (int32_t c = 0; c < number; ++c) {
        int32_t *channel = channels + c * words;
        for (int32_t i = 4; i < words; ++i) {
            channel[i] = (between(-most, most) & 0xffff) | between(-most, most) * 65536;
        }
        channel[0] = between(-most * 500, most * 500);
        channel[1] = between(1 << 29, INT32_MAX) >> (form == QMCU_LINE ? 0 : between(0, 3));
        channel[3] = between(4, 14) | 512;
        channel[2] = between(-100, 100) * (1 << (channel[3] & 255));
    }
}

/* Rows of three by three windows: so many of each parity, anywhere in the planes. */
static void try_rows(int32_t stride, int32_t form, int32_t count)
{
    const int32_t words = QMCU_LANE_HEAD + QMCU_WINDOW_3_WORDS, number = between(1, 4);
    qmcu_planes_rows_t rows;
    rows.channel = (const uint32_t *)channels;
    rows.channels = number;
    rows.count = count;
    rows.pitch = between(4, 9);
    rows.row_step = between(100, 150);
    rows.stride = stride;
    rows.form = form;
    spoil();
    fill(2 * number, words, form, form == QMCU_LINE ? 32767 : 256);
    int8_t *const outputs[2] = {expected, actual};
    for (int32_t i = 0; i < 2; ++i) {
        state = 77u * (uint32_t)count + 5u * (uint32_t)stride + (uint32_t)form;
        for (int32_t part = 0; part < 2; ++part) {
            rows.part[part].plane = (const uint32_t *)input + 4 * between(0, 9);
            rows.part[part].out = outputs[i] + (part == 0 ? 5 : 1500) + between(0, 3);
            rows.part[part].rows = between(0, 3);
        }
        if (i == 0) {
            qmcu_planes_rows_3__ref(&rows);
        } else {
            qmcu_planes_rows_3__dsp(&rows);
        }
    }
    check();
}

int main(void)
{
    for (int32_t count = 1; count <= 18; ++count)
    for (int32_t kind = 0; kind < 20; ++kind) {
        try_rows(1 + (kind & 1), kind >> 1 & 1, count);
    }
    for (int32_t kind = 0; kind < 16; ++kind)
    for (int32_t count = 0; count <= 11; ++count) {
        static const int32_t sizes[][2] = {{3, 2}, {7, 4}, {4, 3}, {5, 3}};
        qmcu_planes_row_t row;
        row.columns = sizes[kind % 4][0];
        row.pairs = sizes[kind % 4][1];
        row.stride = 1 + (int32_t)(any() % 3u);
        row.is_odd = kind / 4 & 1;
        row.form = kind / 8;
        row.channel_words = 4 + row.columns * row.pairs + (int32_t)(any() & 3u);
        row.channel = (const uint32_t *)channels;
        row.channels = between(1, 4);
        row.count = count;
        row.pitch = between(4, 9);
        spoil();
        fill(row.channels, row.channel_words, row.form, row.form == QMCU_LINE ? 32767 : 256);
        qmcu_planes_row__ref((uint32_t *)input, &row, expected + 5);
        qmcu_planes_row__dsp((uint32_t *)input, &row, actual + 5);
        check();
    }
    return report();
}
""",
    "store": """
int main(void)
{
    for (int32_t bits = 2; bits <= 8; bits *= 2)
    for (int32_t count = 0; count <= 5; ++count)
    for (int32_t values = 1; values <= 8; ++values)
    for (int32_t shift = 0; shift < 4; ++shift) {
        const qmcu_staged_t staged = {input + 8 * (shift & 1), count, values, bits};
        spoil();
        qmcu_store_staged__ref(&staged, expected + shift, 8 + shift);
        qmcu_store_staged__dsp(&staged, actual + shift, 8 + shift);
        check();
        if (values <= 4) {
            const int32_t low = bits == 8 ? -50 : shift & 1, high = bits == 8 ? 90 : (1 << bits) - 1 - (shift >> 1);
            const qmcu_quads_t quads = {input, count, values, bits, low, high};
            spoil();
            qmcu_store_quads__ref(&quads, expected + shift, 4 + shift);
            qmcu_store_quads__dsp(&quads, actual + shift, 4 + shift);
            check();
        }
    }
    return report();
}
""",
    "poly_words": """
int main(void)
{
    for (int32_t bits = 2; bits <= 4; bits *= 2)
    for (int32_t count = 0; count <= 6; ++count)
    for (int32_t shift = 0; shift < 9; ++shift) {
        qmcu_poly_pixels_t pixels;
        pixels.bits = bits;
        pixels.step = shift == 8 ? 0 : 3 * (4 + shift);
        for (int32_t i = 0; i < 4; ++i) {
            pixels.pixel[i] = input + between(0, 500);
        }
        spoil();
        qmcu_poly_words__ref(&pixels, count, (uint32_t *)expected + 8 * (shift & 3));
        qmcu_poly_words__dsp(&pixels, count, (uint32_t *)actual + 8 * (shift & 3));
        check();
    }
    return report();
}
""",
    "poly_row": """
static int32_t in_all(int32_t bits, int32_t value)
{
    return bits == 4 ? value | value << 10 | value << 20 : (int32_t)((uint32_t)value * 0x01010101u);
}

int main(void)
{
    for (int32_t bits = 2; bits <= 4; bits *= 2)
    for (int32_t words = 1; words <= 6; ++words)
    for (int32_t kind = 0; kind < 20; ++kind) {
        const int32_t most = bits == 4 ? 15 : 3, scale = bits == 4 ? 1024 : 256;
        qmcu_poly_row_t row;
        row.channel = channels;
        row.channels = between(1, 8);
        row.words = words;
        row.rows = 1 + (kind & 1);
        row.has_tail = kind >> 1 & 1;
        row.bits = bits;
        spoil();
        for (int32_t i = 0; i < BYTES / 4; ++i) {
            const uint32_t value = any();
            ((uint32_t *)input)[i] = value & (bits == 4 ? 0x00f03c0fu : 0x03030303u);
        }
        for (int32_t c = 0; c < row.channels; ++c) {
            int32_t *channel = channels + c * QMCU_POLY_WORDS, negative = 0, before = 0, after = 0;
            for (int32_t r = 0; r < 3; ++r) {
                const int32_t w0 = between(-7, 7), w1 = between(-7, 7), w2 = between(-7, 7);
                channel[r] = w2 + scale * (w1 + scale * w0);
                negative -= (w0 < 0 ? w0 : 0) + (w1 < 0 ? w1 : 0) + (w2 < 0 ? w2 : 0);
                before += w0;
                after += w2;
            }
            channel[3] = between(1 << 20, 1 << 27);
            channel[4] = between(-20000, 20000);
            channel[5] = in_all(bits, most * negative);
            channel[6] = c ^ 5;
            channel[7] = (kind & 4) != 0 ? most * before * 256 : 0;
            channel[8] = most * (after + negative);
        }
        qmcu_poly_row__ref((uint32_t *)input, &row, expected);
        qmcu_poly_row__dsp((uint32_t *)input, &row, actual);
        check();
    }
    return report();
}
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_primitives_are_their_references(name, tmp_path):
    assert_equal(name, tmp_path, FLOAT_ABIS["hard"])


@pytest.mark.parametrize("name", ["planes_row", "poly_row"])
def test_without_a_floating_point_unit(name, tmp_path):
    """What has no register lies on the stack then."""
    assert_equal(name, tmp_path, FLOAT_ABIS["soft"])


def assert_equal(name: str, folder: Path, flags: Sequence[str]) -> None:
    runs, differing = compared(ROWS + PROGRAMS[name], every_primitive(), folder, flags)
    assert runs > LEAST_RUNS and differing == 0


def test_kernels_on_a_cortex_m4(tmp_path):
    cases = test_depthwise_variants.CASES[::EVERY]
    graph = side_by_side(cases)
    assert len({node.kernel for node in graph.nodes if node.kernel}) == 2
    inputs = inputs_of(graph)
    named = {port.tensor: values for port, values in zip(graph.inputs, inputs, strict=True)}
    expected = Interpreter(graph, integer=True).run(named)
    outputs = run_on_board(graph, inputs, tmp_path).outputs
    for case, port, actual in zip(cases, graph.outputs, outputs, strict=True):
        np.testing.assert_array_equal(actual, expected[port.tensor], err_msg=str(case))
