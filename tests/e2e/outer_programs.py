"""C programs that hold primitives of kernels below 8 bits against their references, for ``test_native_outer``."""

TILES = """
#define MOST_UNITS 7
#define MOST_GROUPS 3
#define OUT_BYTES 200
static uint32_t words[MOST_UNITS * 4 * 8];
static int32_t weights[MOST_GROUPS * MOST_UNITS * 12], constants[MOST_GROUPS * 4 * 4];
static int8_t expected[OUT_BYTES], actual[OUT_BYTES];
static uint32_t fields[MOST_GROUPS * 8], fields_again[MOST_GROUPS * 8];

/* Words of pixels, any weights, and constants whose outputs are below, above and within their range. */
static void fill(int32_t pixels, int32_t finish)
{
    for (int32_t i = 0; i < MOST_UNITS * 4 * 8; ++i) {
        words[i] = any() & (pixels == 2 ? 0x3c00fu : pixels == 3 ? 0xf03c0fu : 0x60c183u);
    }
    for (size_t i = 0; i < sizeof weights / sizeof weights[0]; ++i) {
        weights[i] = (int32_t)(any() << 9 ^ any());
    }
    for (int32_t i = 0; i < MOST_GROUPS * 4; ++i) {
        const int are_lanes = finish == QMCU_OUTER_LANES || finish == QMCU_OUTER_BYTES;
        int32_t *c = constants + i * (are_lanes ? 4 : finish == QMCU_OUTER_STEPS ? 3 : 2);
        if (finish == QMCU_OUTER_STEEP) { /* to thousands */
            c[0] = i % 2 != 0 ? between(1, 400) << 14 : between(1, 60000) << 14;
            c[1] = between(-(1 << 19), 1 << 17);
        } else if (finish == QMCU_OUTER_LINES) {
            c[0] = between(1000, 40000) << 11;
            c[1] = between(-(1 << 19), 1 << 17);
        } else if (are_lanes && (any() & 256) != 0) {
            c[3] = between(3, 9);
            c[0] = between(-30000, 1000);
            c[1] = (1 << 30) + (int32_t)(any() & 0x3fffffff);
            c[2] = (1 << (c[3] - 1)) + between(0, finish == QMCU_OUTER_LANES ? 15 : 255) * (1 << c[3]);
        } else if (are_lanes) { /* a line, to a few hundred */
            c[3] = 0;
            c[2] = between(8, 16);
            c[0] = between(1, 700) << (pixels == 2 ? c[2] : c[2] + 4);
            c[1] = between(-100, 100) * (1 << c[2]);
        } else {
            for (int32_t k = 0; k < 3; ++k) {
                c[k] = pixels == 3 ? between(0, 200) * 0x100401 : between(0, 50) * 0x204081;
            }
        }
    }
}

/* window: three columns; at: where pixels begin, whose distances are any. Fields of all but STEPS may be anything. */
static void try_tile(int32_t pixels, int32_t units, int32_t groups, int32_t finish, int32_t window, int32_t at)
{
    qmcu_outer_tile_t tile;
    fill(pixels, finish);
    const int32_t bytes = groups * (finish == QMCU_OUTER_STEPS ? 1 : finish == QMCU_OUTER_BYTES ? 4 : 2) + at;
    tile.words = words;
    tile.units = units;
    tile.weights = weights;
    tile.groups = groups;
    tile.start[0] = (uint64_t)any() << 20 | any();
    tile.start[1] = (uint64_t)any() << 21 | any();
    if (finish == QMCU_OUTER_STEPS) { /* fields that stay below a half whatever is added: nothing but the start */
        memset(words, 0, sizeof words);
        for (int32_t g = 0; g < 2; ++g) {
            tile.start[g] = 0;
            for (int32_t f = 0; f < 2 * pixels; ++f) {
                const uint64_t field = (uint32_t)between(0, pixels == 3 ? 511 : 63);
                tile.start[g] |= field << ((pixels == 3 ? 10 : 7) * f);
            }
        }
    } else if (pixels == 2) { /* the highest field ends within 56 bits, as it does where the bounds hold */
        tile.start[0] &= 0xffffffffffu;
        tile.start[1] &= 0xffffffffffu;
    } else {
        tile.start[0] &= 0xfffffffffu;
        tile.start[1] &= 0xfffffffffu;
    }
    tile.constants = constants;
    tile.pixel_bytes = window ? 2 * bytes : bytes;
    tile.group_bytes = window ? bytes : pixels * bytes;
    tile.entry = window ? QMCU_OUTER_WINDOW : (3 - units % 3) % 3;
    tile.finish = finish;
    memset(expected, 0x5a, sizeof expected);
    memset(actual, 0x5a, sizeof actual);
    memset(fields, 0, sizeof fields);
    memset(fields_again, 0, sizeof fields_again);
    tile.out = expected + at;
    tile.fields = fields;
    (pixels == 2 ? qmcu_outer_tile_i4__ref : pixels == 3 ? qmcu_outer_tile_i2__ref : qmcu_outer_tile_i2x4__ref)(&tile);
    tile.out = actual + at;
    tile.fields = fields_again;
    (pixels == 2 ? qmcu_outer_tile_i4__dsp : pixels == 3 ? qmcu_outer_tile_i2__dsp : qmcu_outer_tile_i2x4__dsp)(&tile);
    compare(expected, actual, sizeof actual);
    compare(fields, fields_again, sizeof fields);
}

int main(void)
{
    for (int32_t units = 1; units <= MOST_UNITS; ++units) {
        for (int32_t groups = 1; groups <= MOST_GROUPS; ++groups) {
            for (int32_t window = 0; window < 2; ++window) {
                for (int32_t at = 0; at < 4; ++at) {
                    try_tile(2, units, groups, QMCU_OUTER_NONE, window, at);
                    try_tile(2, units, groups, QMCU_OUTER_LINES, window, at);
                    try_tile(2, units, groups, QMCU_OUTER_STEEP, window, at);
                    try_tile(2, units, groups, QMCU_OUTER_LANES, window, at);
                    try_tile(3, units, groups, QMCU_OUTER_NONE, window, at);
                    try_tile(3, units, groups, QMCU_OUTER_LINES, window, at);
                    try_tile(3, units, groups, QMCU_OUTER_LANES, window, at);
                    try_tile(3, units, groups, QMCU_OUTER_STEPS, window, at);
                    for (int32_t pixels = 2; pixels <= 3; ++pixels) {
                        try_tile(pixels, units, groups, QMCU_OUTER_BYTES, window, at);
                    }
                    try_tile(4, units, groups, QMCU_OUTER_NONE, window, at);
                    try_tile(4, units, groups, QMCU_OUTER_STEPS, window, at);
                }
            }
        }
    }
    return report();
}
"""
WORDS = """
#define MOST_UNITS 9
static int8_t values[4 * 64];
static uint32_t expected[MOST_UNITS * 32 + 1], actual[MOST_UNITS * 32 + 1];

typedef uint32_t words_of_t(const int8_t *const *x, int32_t units, uint32_t *words, int32_t step);

static void try_words(words_of_t *ref, words_of_t *dsp, int32_t units, int32_t step, int32_t at)
{
    const int8_t *const x[4] = {values + at, values + 50 + (at ^ 1), values + 101 + (at ^ 3), values + 170 + (at ^ 2)};
    for (size_t i = 0; i < sizeof values; ++i) {
        values[i] = (int8_t)any();
    }
    memset(expected, 0x5a, sizeof expected);
    memset(actual, 0x5a, sizeof actual);
    expected[MOST_UNITS * 32] = ref(x, units, expected, step);
    actual[MOST_UNITS * 32] = dsp(x, units, actual, step);
    compare(expected, actual, sizeof actual);
}

int main(void)
{
    for (int32_t units = 1; units <= MOST_UNITS; ++units) {
        for (int32_t at = 0; at < 4; ++at) {
            for (int32_t step = 16; step <= 32; step += 16) {
                try_words(qmcu_outer_words_u4x2__ref, qmcu_outer_words_u4x2__dsp, units, step, at);
                try_words(qmcu_outer_words_u4x3__ref, qmcu_outer_words_u4x3__dsp, units, step, at);
                try_words(qmcu_outer_words_u2x2__ref, qmcu_outer_words_u2x2__dsp, units, step, at);
                try_words(qmcu_outer_words_u2x3__ref, qmcu_outer_words_u2x3__dsp, units, step, at);
                try_words(qmcu_outer_words_u2x4__ref, qmcu_outer_words_u2x4__dsp, units, step, at);
            }
        }
    }
    return report();
}
"""
SUMS = """
#define MOST_GROUPS 5
#define MOST_PIXELS 6
static uint32_t fields[MOST_GROUPS * 8];
static int32_t lanes[MOST_GROUPS * 16];
static int32_t sums[MOST_GROUPS * 4 * MOST_PIXELS + 1], sums_again[MOST_GROUPS * 4 * MOST_PIXELS + 1];
static int8_t expected[400], actual[400];

static void try_sums(int32_t pixels, int32_t groups, int32_t at)
{
    memset(sums, 0x5a, sizeof sums);
    memset(sums_again, 0x5a, sizeof sums);
    for (int32_t piece = 0; piece < 3; ++piece) {
        for (int32_t i = 0; i < MOST_GROUPS * 8; ++i) {
            fields[i] = any();
        }
        qmcu_outer_sums__ref(fields, pixels, groups, piece == 0, sums);
        qmcu_outer_sums__dsp(fields, pixels, groups, piece == 0, sums_again);
        compare(sums, sums_again, sizeof sums);
    }
    for (int32_t c = 0; c < 4 * groups; ++c) {
        int32_t *lane = lanes + c * QMCU_LANE_WORDS;
        lane[3] = between(3, 9);
        lane[0] = between(-90000, 1000);
        lane[1] = (1 << 30) + (int32_t)(any() & 0x3fffffff);
        lane[2] = (1 << (lane[3] - 1)) + between(-128, 127) * (1 << lane[3]);
    }
    memset(expected, 0x5a, sizeof expected);
    memset(actual, 0x5a, sizeof actual);
    const int32_t pitch = 4 * groups + at;
    qmcu_outer_bytes__ref(sums, lanes, 4 * groups - at, pixels, expected + at, pitch);
    qmcu_outer_bytes__dsp(sums, lanes, 4 * groups - at, pixels, actual + at, pitch);
    compare(expected, actual, sizeof actual);
}

int main(void)
{
    for (int32_t groups = 1; groups <= MOST_GROUPS; ++groups) {
        for (int32_t at = 0; at < 4; ++at) {
            try_sums(2, groups, at);
            try_sums(3, groups, at);
        }
    }
    return report();
}
"""
FIELDS = """
#define MOST_SEGMENTS 3
#define MOST_UNITS 5
#define MOST_GROUPS 3
#define WORDS (MOST_SEGMENTS * (2 + 4 * MOST_UNITS) + 4)
#define CHANNELS (8 * MOST_GROUPS + 4)
static uint32_t column[WORDS];
static int32_t weights[WORDS * CHANNELS / 4], lanes[CHANNELS * QMCU_LANE_WORDS];
static int8_t values[200], expected[CHANNELS + 8], actual[CHANNELS + 8];
static uint32_t words[21 * 4], words_again[21 * 4];

/* Any starts and totals; values of 4 bits; requantization to about twice the range of int8. */
static void try_rows(int32_t segments, int32_t units, int32_t groups, int32_t rest, int32_t at)
{
    const qmcu_field_rows_t rows = {weights, lanes, groups, rest};
    uint32_t *word = column;
    *word++ = any() & 0xffffu;
    column[0] *= 0x10001u;
    *word++ = any() << 12;
    for (int32_t segment = 0; segment < segments; ++segment) {
        const int32_t count = segment == segments - 1 ? units : between(units, MOST_UNITS);
        *word++ = any() & 0xfffu;
        *word++ = (uint32_t)(4 * count);
        for (int32_t i = 0; i < 4 * count; ++i) {
            *word++ = any() & 0x000f000fu;
        }
    }
    word[1] = 0;
    for (size_t i = 0; i < sizeof weights / sizeof weights[0]; ++i) {
        weights[i] = (int32_t)(any() << 9 ^ any());
    }
    for (int32_t c = 0; c < CHANNELS; ++c) {
        int32_t *lane = lanes + c * QMCU_LANE_WORDS;
        lane[3] = between(5, 13);
        lane[0] = between(-30000, 1000);
        lane[1] = (1 << 30) + (int32_t)(any() & 0x3fffffff);
        lane[2] = (1 << (lane[3] - 1)) + between(-128, 127) * (1 << lane[3]);
    }
    memset(expected, 0x5a, sizeof expected);
    memset(actual, 0x5a, sizeof actual);
    qmcu_field_rows_i4__ref(column, &rows, expected + at);
    qmcu_field_rows_i4__dsp(column, &rows, actual + at);
    compare(expected, actual, sizeof actual);
}

typedef uint32_t words_of_t(const int8_t *x, int32_t units, uint32_t *words);

static void try_words(words_of_t *ref, words_of_t *dsp, int32_t units, int32_t at)
{
    for (size_t i = 0; i < sizeof values; ++i) {
        values[i] = (int8_t)any();
    }
    memset(words, 0x5a, sizeof words);
    memset(words_again, 0x5a, sizeof words);
    words[80] = ref(values + at, units, words);
    words_again[80] = dsp(values + at, units, words_again);
    compare(words, words_again, sizeof words);
}

int main(void)
{
    for (int32_t units = 1; units <= MOST_UNITS; ++units) {
        for (int32_t segments = 1; segments <= MOST_SEGMENTS; ++segments) {
            for (int32_t groups = 0; groups <= MOST_GROUPS; ++groups) {
                for (int32_t rest = groups == 0; rest < 2; ++rest) {
                    try_rows(segments, units, groups, rest, (units + segments + groups) & 3);
                }
            }
        }
    }
    for (int32_t units = 1; units <= 20; ++units) {
        for (int32_t at = 0; at < 4; ++at) {
            try_words(qmcu_field_words_u4__ref, qmcu_field_words_u4__dsp, units, at);
            try_words(qmcu_field_words_u2__ref, qmcu_field_words_u2__dsp, units, at);
        }
    }
    return report();
}
"""
