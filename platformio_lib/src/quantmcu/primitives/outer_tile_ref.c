/* outer_tile_ref.c: tiles of two groups of pixels and groups of four channels. See core/outer.h. */
#include "../core/requant_lane.h"
#include "primitives.h"

/* How fields and weights lie in words. */
typedef struct {
    int32_t pixels, step; /* of a group of pixels; bits of a field */
    uint32_t mask;        /* of a pair of weights */
    int32_t bits;         /* of a weight */
    int32_t turn;         /* bits from the first pair of a k to the second */
} form_t;

static uint32_t turned(uint32_t word, int32_t bits)
{
    return bits == 0 ? word : word >> bits | word << (32 - bits);
}

/* sums[pair of channels][group of pixels] */
static void multiply(const qmcu_outer_tile_t *tile, const form_t *form, const int32_t *weights, uint64_t sums[2][2])
{
    const int32_t pairs = 16 / form->bits; /* in a word: channels 0 and 1, 2 and 3 of one k, then of the next */
    for (int32_t c = 0; c < 2; ++c) {
        sums[c][0] = tile->start[0];
        sums[c][1] = tile->start[1];
    }
    const int32_t columns = tile->entry == QMCU_OUTER_WINDOW ? 3 : 1;
    for (int32_t i = 0; i < tile->units * QMCU_OUTER_UNIT * columns; ++i) {
        const int32_t k = i / columns;
        const int32_t place = k / QMCU_OUTER_UNIT * (columns + 1) + i % columns;
        const uint32_t *words = tile->words + place * QMCU_OUTER_UNIT + k % QMCU_OUTER_UNIT;
        for (int32_t c = 0; c < 2; ++c) {
            const int32_t pair = 2 * i + c;
            const uint32_t word = (uint32_t)weights[pair / pairs];
            const int32_t bit = pair % pairs / 2 * 4 * form->bits + c * form->turn;
            const uint64_t weight = turned(word, bit) & form->mask;
            sums[c][0] += weight * words[0];
            sums[c][1] += weight * words[QMCU_OUTER_UNIT];
        }
    }
}

static int has_lines(int32_t finish)
{
    return finish == QMCU_OUTER_LINES || finish == QMCU_OUTER_STEEP;
}

/* What the constants make of a field, before it is limited. */
static int32_t value_of(int32_t kind, const form_t *form, const int32_t *constants, int32_t field)
{
    if (has_lines(kind)) {
        const int32_t q = kind == QMCU_OUTER_STEEP ? 14 : form->pixels == 2 ? 16 : 12;
        return ((int32_t)(((int64_t)constants[0] * field) >> 16) + constants[1]) >> q;
    }
    if (kind != QMCU_OUTER_STEPS) {
        const qmcu_lane_t lane = qmcu_lane_at(constants, 0);
        const int32_t line = (int32_t)(((int64_t)constants[0] * field) >> 16) + constants[1];
        return lane.shift == 0 ? line >> constants[2] : qmcu_lane_twice(&lane, field);
    }
    int32_t steps = 0;
    for (int32_t i = 0; i < 3; ++i) {
        steps += (field + constants[i]) >> (form->step - 1) & 1; /* the lowest bits of a word are those of one field */
    }
    return steps;
}

static void finish(const qmcu_outer_tile_t *tile, const form_t *form, const int32_t *constants, int32_t size,
                   uint64_t sums[2][2], int8_t *out)
{
    const int are_bytes = tile->finish == QMCU_OUTER_BYTES;
    const int32_t bits = are_bytes ? 8 : tile->finish == QMCU_OUTER_STEPS ? 2 : 4, highest = (1 << bits) - 1;
    for (int32_t p = 0; p < 2 * form->pixels; ++p) {
        int8_t *pixel = out + p / form->pixels * tile->group_bytes + p % form->pixels * tile->pixel_bytes;
        uint32_t values = 0;
        for (int32_t c = 0; c < 4; ++c) {
            const int32_t place = (c % 2 * form->pixels + p % form->pixels) * form->step;
            const uint32_t field = (uint32_t)(sums[c / 2][p / form->pixels] >> place) & ((1u << form->step) - 1u);
            int32_t y = value_of(tile->finish, form, constants + size * c, (int32_t)field);
            y = y < 0 ? 0 : y > highest ? highest : y;
            values |= (uint32_t)y << (bits * c);
        }
        values ^= are_bytes ? 0x80808080u : 0;
        for (int32_t i = 0; i < bits / 2; ++i, values >>= 8) {
            pixel[i] = (int8_t)(uint8_t)values;
        }
    }
}

static void run(const qmcu_outer_tile_t *tile, const form_t *form)
{
    const int32_t columns = tile->entry == QMCU_OUTER_WINDOW ? 3 : 1;
    const int32_t step = tile->units * columns * QMCU_OUTER_UNIT * form->bits / 8;
    const int32_t size = has_lines(tile->finish) ? 2 : tile->finish == QMCU_OUTER_STEPS ? 3 : 4;
    const int32_t bytes = tile->finish == QMCU_OUTER_STEPS ? 1 : tile->finish == QMCU_OUTER_BYTES ? 4 : 2;
    const int32_t *weights = tile->weights;
    for (int32_t group = 0; group < tile->groups; ++group, weights += step) {
        uint64_t sums[2][2];
        multiply(tile, form, weights, sums);
        if (tile->finish != QMCU_OUTER_NONE) {
            finish(tile, form, tile->constants + 4 * size * group, size, sums, tile->out + group * bytes);
            continue;
        }
        for (int32_t i = 0; i < 4; ++i) {
            tile->fields[8 * group + 2 * i] = (uint32_t)sums[i / 2][i % 2];
            tile->fields[8 * group + 2 * i + 1] = (uint32_t)(sums[i / 2][i % 2] >> 32);
        }
    }
}

void qmcu_outer_tile_i4__ref(const qmcu_outer_tile_t *tile)
{
    const form_t form = {2, 14, 0xF000000Fu, 4, 8};
    run(tile, &form);
}

void qmcu_outer_tile_i2__ref(const qmcu_outer_tile_t *tile)
{
    const form_t form = {3, 10, 0xC0000003u, 2, 4};
    run(tile, &form);
}

void qmcu_outer_tile_i2x4__ref(const qmcu_outer_tile_t *tile)
{
    const form_t form = {4, 7, 0x30000003u, 2, 2};
    run(tile, &form);
}
