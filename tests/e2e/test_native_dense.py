"""Dense int8 kernels on an emulated Cortex-M4: primitives against their references, whole kernels against integers."""

from __future__ import annotations

import numpy as np
import pytest

from quantmcu_kit.ops.interpret import Interpreter
from tests.e2e.test_packed_kernels_on_a_board import inputs_of, run_on_board, side_by_side
from tests.support.primitive_programs import FLOAT_ABIS, compared
from tests.unit import test_conv_pairs, test_fully_connected_pairs

EVERY = 11  # case of the lists that the host runs
BLOCKS = """
#define GUARD 8
#define BYTES 1280
typedef struct { _Alignas(4) int8_t data[BYTES + 2 * GUARD]; } block_t;
static block_t expected, actual;

static void spoil(void)
{
    memset(&expected, 0x5a, sizeof expected);
    memset(&actual, 0x5a, sizeof actual);
}

static void check(void) { compare(&expected, &actual, sizeof actual); }

#define MOST_WORDS 90
#define MOST_CHANNELS 24
static int32_t weights[MOST_WORDS * MOST_CHANNELS], lanes[MOST_CHANNELS * QMCU_LANE_WORDS];
static uint32_t column[2 * MOST_WORDS + 16], again[2 * MOST_WORDS + 16];

/* Any nested weights, but for the third of four: that is above -8. */
static uint32_t lane_of(int32_t of_4)
{
    const int32_t above = 16 * between(-8, 7) + between(1, 15);
    return of_4 ? (uint32_t)(256 * above + between(-128, 127)) & 0xffffu : any() & 0xffffu;
}

/* Nested weights, values of int8 in all lanes, requantization to about twice the range of int8. */
static void prepare(int32_t words, int32_t pixels, int32_t head, int32_t of_4)
{
    for (int32_t i = 0; i < MOST_WORDS * MOST_CHANNELS; ++i) {
        weights[i] = (int32_t)(lane_of(of_4) << 16 | lane_of(of_4));
    }
    for (int32_t c = 0; c < MOST_CHANNELS; ++c) {
        const int32_t n = between(5, 13);
        int32_t *lane = lanes + c * QMCU_LANE_WORDS;
        lane[0] = between(-60000, 60000);
        lane[1] = (1 << 30) + (int32_t)(any() & 0x3fffffff);
        lane[2] = (1 << (n - 1)) + between(-128, 127) * (1 << n);
        lane[3] = n;
    }
    uint32_t sum[2] = {0, 0};
    for (int32_t i = 0; i < words * pixels; ++i) {
        const int32_t low = between(-128, 127), high = between(-128, 127);
        column[head + i] = ((uint32_t)low & 0xffffu) | (uint32_t)high << 16;
        sum[i % pixels] += (uint32_t)(low + high);
    }
    column[0] = head > 0 ? sum[0] : column[0];
    column[1] = head > 0 && pixels > 1 ? sum[1] : column[1];
    memcpy(again, column, sizeof column);
}

static const int32_t lengths[] = {1, 2, 3, 4, 5, 8, 12, 15, 16, 17, 18, 31, 32, 33, 34, 48, 49, 50, 72, 81};
#define LENGTHS (int)(sizeof lengths / sizeof lengths[0])
"""
TILES = """
static void try_tiles(int32_t words, int32_t groups, int32_t is_rectified, int32_t at, int32_t of_4)
{
    uint32_t sums[QMCU_SUMS], sums_again[QMCU_SUMS];
    prepare(words, 2, 6, of_4);
    memcpy(sums, column, sizeof sums);
    memcpy(sums_again, column, sizeof sums);
    qmcu_tiles_t tiles = {weights, lanes, words, groups, is_rectified, sums};
    spoil();
    int8_t *a = expected.data + GUARD + at, *b = a + 100 + 3 * at, *c = actual.data + GUARD + at, *d = c + 100 + 3 * at;
    (of_4 ? qmcu_tiles_s4__ref : qmcu_tiles_s8__ref)(column + 6, &tiles, a, b);
    tiles.sums = sums_again;
    (of_4 ? qmcu_tiles_s4__dsp : qmcu_tiles_s8__dsp)(column + 6, &tiles, c, d);
    check();
}

/* Any constants of lines: of many a sum wraps, which is as good here. */
static void try_lines(int32_t words, int32_t groups, int32_t pairs, int32_t at)
{
    prepare(words * pairs, 2, 0, 0);
    for (int32_t group = 0; group < groups; ++group) {
        int32_t *line = weights + group * (2 * words + 8);
        line[0] = between(-(1 << 24), 1 << 24);
        line[1] = between(-(1 << 24), 1 << 24);
        line += 2 + 2 * words;
        for (int32_t i = 0; i < 6; ++i) {
            line[i] = i % 3 == 0 ? between(-(1 << 24), 1 << 24) : (1 << 26) + (int32_t)(any() & 0xfffffff);
        }
    }
    const qmcu_tiles_t tiles = {weights, NULL, words, groups, 1, NULL};
    spoil();
    const int32_t step = 4 * groups + at;
    int8_t *a = expected.data + GUARD + at, *c = actual.data + GUARD + at;
    qmcu_tiles_line__ref(column, &tiles, a, a + step, pairs);
    qmcu_tiles_line__dsp(column, &tiles, c, c + step, pairs);
    check();
}

int main(void)
{
    for (int32_t i = 0; i < LENGTHS; ++i) {
        for (int32_t groups = 1; groups <= 4; ++groups) {
            try_lines(lengths[i], groups, 1, i & 3);
            try_lines(lengths[i], groups, MOST_WORDS / lengths[i] < 9 ? MOST_WORDS / lengths[i] : 9, ~i & 3);
        }
    }
    for (int32_t of_4 = 0; of_4 < 2; ++of_4) {
        for (int32_t i = 0; i < LENGTHS; ++i) {
            for (int32_t groups = 1; groups <= 4; ++groups) {
                try_tiles(lengths[i], groups, groups & 1, i & 3, of_4);
                try_tiles(lengths[i], groups, ~groups & 1, (i + 1) & 3, of_4);
            }
        }
    }
    return report();
}
"""
ROWS = """
static void try_rows(int32_t words, int32_t groups, int32_t rest, int32_t at, int32_t of_4)
{
    prepare(words, 1, QMCU_ROW_HEAD, of_4);
    const qmcu_rows_t rows = {weights, lanes, words, groups, rest};
    spoil();
    (of_4 ? qmcu_rows_s4__ref : qmcu_rows_s8__ref)(column, &rows, expected.data + GUARD + at);
    (of_4 ? qmcu_rows_s4__dsp : qmcu_rows_s8__dsp)(again, &rows, actual.data + GUARD + at);
    check();
}

int main(void)
{
    for (int32_t of_4 = 0; of_4 < 2; ++of_4) {
        for (int32_t i = 0; i < LENGTHS; ++i) {
            const int32_t words = (lengths[i] + 1) & ~1;
            for (int32_t rest = 0; rest <= (of_4 ? 2 : 3); ++rest) {
                for (int32_t groups = rest == 0; groups <= 2; ++groups) {
                    try_rows(words, groups, rest, (i + rest) & 3, of_4);
                }
            }
        }
    }
    return report();
}
"""
WIDEN = """
static int8_t values[800];

static void try_pair(const qmcu_runs_t *runs, int32_t at, int32_t apart)
{
    uint32_t sums[16], sums_again[16];
    uint32_t *to = (uint32_t *)(void *)(expected.data + GUARD), *other = (uint32_t *)(void *)(actual.data + GUARD);
    memset(sums, 0, sizeof sums);
    memset(sums_again, 0, sizeof sums);
    spoil();
    qmcu_widen_pair__ref(values + at, values + at + apart, runs, to);
    qmcu_widen_pair__dsp(values + at, values + at + apart, runs, other);
    check();
    spoil();
    qmcu_widen_pair_summed__ref(values + at, values + at + apart, runs, to, sums);
    qmcu_widen_pair_summed__dsp(values + at, values + at + apart, runs, other, sums_again);
    check();
    memcpy(expected.data, sums, sizeof sums);
    memcpy(actual.data, sums_again, sizeof sums);
    check();
}

static void try_row(int32_t count, int32_t at)
{
    uint32_t *to = (uint32_t *)(void *)(expected.data + GUARD), *other = (uint32_t *)(void *)(actual.data + GUARD);
    spoil();
    qmcu_widen_row__ref(values + at, count, to);
    qmcu_widen_row__dsp(values + at, count, other);
    check();
    spoil();
    to[-1] = qmcu_widen_row_summed__ref(values + at, count, to);
    other[-1] = qmcu_widen_row_summed__dsp(values + at, count, other);
    check();
}

static void try_nines(int32_t pitch, int32_t at)
{
    uint32_t *to = (uint32_t *)(void *)(expected.data + GUARD), *other = (uint32_t *)(void *)(actual.data + GUARD);
    const int32_t pairs = 1 + (at & 1);
    spoil();
    qmcu_widen_nines__ref(values + at, values + 3 * at, pitch, to, pairs, 5 * at);
    qmcu_widen_nines__dsp(values + at, values + 3 * at, pitch, other, pairs, 5 * at);
    check();
}

int main(void)
{
    for (int32_t i = 0; i < 800; ++i) {
        values[i] = (int8_t)any();
    }
    for (int32_t count = 1; count <= 70; ++count) {
        try_row(count, count & 3);
        try_nines(9 + count, count);
        const qmcu_runs_t alone = {count, 1, 0, 0, 0, 0};
        try_pair(&alone, count & 3, 101);
        const qmcu_runs_t eights = {8, 1 + (count & 7), count - 8, count - 11, 0, 0};
        try_pair(&eights, count & 3, 201);
        const int32_t words = (count + 1) / 2;
        const qmcu_runs_t three = {count, count < 40 ? 3 : 2, 7, 5 - count, 16, 8 + 8 * (count & 1)};
        if (3 * (8 * words + 16) <= BYTES) {
            try_pair(&three, ~count & 3, 400);
        }
    }
    return report();
}
"""
STORE = """
static void try_store(const qmcu_limits_t *limits, int32_t at)
{
    int8_t values[80], again[80];
    for (int32_t i = 0; i < 80; ++i) {
        values[i] = again[i] = (int8_t)any();
    }
    spoil();
    qmcu_store_limited__ref(values + at, limits, expected.data + GUARD + at);
    qmcu_store_limited__dsp(again + at, limits, actual.data + GUARD + at);
    check();
}

int main(void)
{
    for (int32_t bits = 2; bits <= 8; bits *= 2) {
        const int32_t most = bits == 8 ? 127 : (1 << bits) - 1;
        for (int32_t count = 1; count <= 40; ++count) {
            const qmcu_limits_t limits = {count, bits, bits == 8 ? -100 : 0, most}, inner = {count, bits, 1, most - 1};
            try_store(&limits, count & 3);
            try_store(&inner, ~count & 3);
        }
    }
    return report();
}
"""
# Name: the program's body, the files that it needs, and how often it compares.
PROGRAMS = {
    "tiles": (
        TILES,
        ("primitives/tiles_ref", *(f"native/cortexm_dsp/tiles_{form}" for form in ("s8", "s4", "line"))),
        480,
    ),
    "rows": (ROWS, ("primitives/rows_ref", "native/cortexm_dsp/rows_s8", "native/cortexm_dsp/rows_s4"), 380),
    "widen": (
        WIDEN,
        (
            "primitives/widen_pair_ref",
            "native/cortexm_dsp/widen_pair",
            "primitives/rows_ref",
            "native/cortexm_dsp/widen_row",
            "primitives/widen_nines_ref",
            "native/cortexm_dsp/widen_nines",
        ),
        840,
    ),
    "store": (STORE, ("primitives/store_limited_ref", "native/cortexm_dsp/store_limited", "primitives/pack_ref"), 240),
}


@pytest.mark.parametrize("float_abi", FLOAT_ABIS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_primitives_equal_their_references(name, float_abi, tmp_path):
    """Every length about those of the unrolled loops, tails, places of the outputs; nothing is written beside them.

    Without registers of the FPU, constants are kept on the stack.
    """
    body, files, comparisons = PROGRAMS[name]
    assert compared(BLOCKS + body, files, tmp_path, FLOAT_ABIS[float_abi]) == (comparisons, 0)


ALL = (*test_conv_pairs.CASES, *test_fully_connected_pairs.CASES)
CASES = [case for case in ALL if case.graph.outputs[0].shape[0] == 1][::EVERY]


def test_kernels_equal_integers_on_a_board(tmp_path):
    graph = side_by_side(CASES)
    inputs = inputs_of(graph)
    run = run_on_board(graph, inputs, tmp_path)
    named = {port.tensor: values for port, values in zip(graph.inputs, inputs, strict=True)}
    expected = Interpreter(graph, integer=True).run(named)
    for port, actual in zip(graph.outputs, run.outputs, strict=True):
        np.testing.assert_array_equal(actual, expected[port.tensor], err_msg=port.tensor)
    ours = {name for name, _ in run.functions if name.endswith("__dsp")}
    assert {name.split("qmcu_")[1] for name in ours} >= {
        "widen_nines__dsp",
        "tiles_s8__dsp",
        "tiles_s4__dsp",
        "tiles_line__dsp",
        "store_limited__dsp",
        "rows_s8__dsp",
        "rows_s4__dsp",
    }
