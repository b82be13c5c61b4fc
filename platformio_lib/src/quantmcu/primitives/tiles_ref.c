/* tiles_ref.c: two columns times nested weights, and their requantization, in portable C. */
#include "../core/requant_lane.h"
#include "nested.h"
#include "primitives.h"

/* Requantizes four channels of a pixel. */
static void finish(const qmcu_tiles_t *tiles, int32_t channel, const int32_t *sum, int8_t *out)
{
    for (int32_t c = 0; c < 4; ++c) {
        const qmcu_lane_t lane = qmcu_lane_at(tiles->lanes, channel + c);
        const int32_t y = tiles->is_rectified ? qmcu_lane_rectified(&lane, sum[c]) : qmcu_lane_twice(&lane, sum[c]);
        out[channel + c] = qmcu_saturated(y);
    }
}

void qmcu_tiles_s8__ref(const uint32_t *columns, const qmcu_tiles_t *tiles, int8_t *a, int8_t *b)
{
    const int32_t *weights = tiles->weights;
    for (int32_t channel = 0; channel < 4 * tiles->groups; channel += 4) {
        int32_t of_a[4] = {0, 0, 0, 0}, of_b[4] = {0, 0, 0, 0};
        const uint32_t *x = columns;
        for (int32_t k = 0; k < tiles->words; ++k, x += 2, weights += 2) {
            qmcu_add_nested_s8(weights[0], x[0], of_a);
            qmcu_add_nested_s8(weights[1], x[0], of_a + 2);
            qmcu_add_nested_s8(weights[0], x[1], of_b);
            qmcu_add_nested_s8(weights[1], x[1], of_b + 2);
        }
        finish(tiles, channel, of_a, a);
        finish(tiles, channel, of_b, b);
    }
}

void qmcu_tiles_s4__ref(const uint32_t *columns, const qmcu_tiles_t *tiles, int8_t *a, int8_t *b)
{
    const int32_t *weights = tiles->weights;
    for (int32_t channel = 0; channel < 4 * tiles->groups; channel += 4) {
        int32_t of_a[4] = {0, 0, 0, 0}, of_b[4] = {0, 0, 0, 0};
        const uint32_t *x = columns;
        for (int32_t k = 0; k < tiles->words; ++k, x += 2, ++weights) {
            qmcu_add_nested_s4(weights[0], x[0], of_a);
            qmcu_add_nested_s4(weights[0], x[1], of_b);
        }
        finish(tiles, channel, of_a, a);
        finish(tiles, channel, of_b, b);
    }
}

static void finish_line(int32_t bias, int32_t multiplier, int32_t sum, int8_t *out)
{
    const int32_t x = (int32_t)((uint32_t)bias + 256u * (uint32_t)sum);
    *out = qmcu_saturated((int32_t)(((int64_t)x * multiplier) >> 32) >> QMCU_TILE_LINE_SHIFT);
}

static void pair_of_lines(const uint32_t *columns, const qmcu_tiles_t *tiles, int8_t *a, int8_t *b)
{
    const int32_t *weights = tiles->weights;
    for (int32_t channel = 0; channel < 4 * tiles->groups; channel += 4) {
        const int32_t *odd = weights, *line = weights + 2 + 2 * tiles->words;
        int32_t of_a[4] = {0, 0, 0, 0}, of_b[4] = {0, 0, 0, 0};
        const uint32_t *x = columns;
        for (weights += 2; weights < line; x += 2, weights += 2) {
            qmcu_add_nested_s8(weights[0], x[0], of_a);
            qmcu_add_nested_s8(weights[1], x[0], of_a + 2);
            qmcu_add_nested_s8(weights[0], x[1], of_b);
            qmcu_add_nested_s8(weights[1], x[1], of_b + 2);
        }
        for (int32_t c = 0; c < 4; c += 2, line += 3, ++odd) {
            finish_line(line[0], line[1], of_a[c], a + channel + c);
            finish_line(*odd, line[2], of_a[c + 1], a + channel + c + 1);
            finish_line(line[0], line[1], of_b[c], b + channel + c);
            finish_line(*odd, line[2], of_b[c + 1], b + channel + c + 1);
        }
        weights = line;
    }
}

void qmcu_tiles_line__ref(const uint32_t *columns, const qmcu_tiles_t *tiles, int8_t *a, int8_t *b, int32_t pairs)
{
    pair_of_lines(columns, tiles, a, b);
    for (ptrdiff_t done = 1, step = pairs > 1 ? b - a : 0; done < pairs; ++done) {
        columns += 2 * tiles->words;
        pair_of_lines(columns, tiles, a + 2 * done * step, b + 2 * done * step);
    }
}
