/* depthwise_planes_ref.c: portable planes of row pairs, their windows, and staged values into a map. */
#include "../core/planes.h"
#include "primitives.h"

/* Value `index` of a pixel as the 16 bits of a lane. */
static inline uint32_t lane_at(const int8_t *pixel, int32_t bits, int32_t index)
{
    if (bits == 8) {
        return (uint32_t)pixel[index] & 0xffffu;
    }
    const int32_t place = index * bits;
    return ((uint32_t)(uint8_t)pixel[place >> 3] >> (place & 7)) & ((1u << bits) - 1u);
}

/* Columns of padding; returns where the next column is. */
static uint32_t *pad(const qmcu_row_pair_t *rows, int32_t count, int32_t step, uint32_t *out)
{
    for (; count > 0; --count, out += step) {
        out[0] = out[1] = out[2] = out[3] = rows->padding;
    }
    return out;
}

void qmcu_pair_rows__ref(const qmcu_row_pair_t *rows, int32_t step, uint32_t *out)
{
    const int8_t *upper = rows->row[0], *lower = rows->row[1];
    out = pad(rows, rows->before, step, out);
    for (int32_t i = 0; i < rows->inner; ++i) {
        for (int32_t c = 0; c < QMCU_BLOCK; ++c) {
            out[c] = lane_at(upper, rows->bits, c) | lane_at(lower, rows->bits, c) << 16;
        }
        upper += rows->pixel_bytes[0];
        lower += rows->pixel_bytes[1];
        out += step;
    }
    (void)pad(rows, rows->after, step, out);
}

void qmcu_planes_lanes_3__ref(const int8_t *taps, const int32_t *lane, int32_t channels, uint32_t *out)
{
    for (; channels > 0; --channels, taps += 9, lane += QMCU_LANE_HEAD) {
        int32_t w[9];
        for (int32_t i = 0; i < 9; ++i) {
            w[i] = taps[i] * (lane[3] >> 8);
        }
        for (int32_t odd = 0; odd < 2; ++odd, out += QMCU_LANE_HEAD + QMCU_WINDOW_3_WORDS) {
            const int32_t *pair = w + 3 * odd, *single = odd ? w : w + 6;
            for (int32_t i = 0; i < QMCU_LANE_HEAD; ++i) {
                out[i] = (uint32_t)lane[i];
            }
            for (int32_t x = 0; x < 3; ++x) {
                out[QMCU_LANE_HEAD + x] = ((uint32_t)pair[x] & 0xffffu) | (uint32_t)pair[x + 3] << 16;
            }
            out[QMCU_LANE_HEAD + 3] = ((uint32_t)single[0] & 0xffffu) | (uint32_t)single[1] << 16;
            out[QMCU_LANE_HEAD + 4] = (uint32_t)single[2] & 0xffffu;
        }
    }
}

static inline int32_t low_lane(uint32_t word)
{
    return (int16_t)(uint16_t)word;
}

static inline int32_t high_lane(uint32_t word)
{
    return (int16_t)(uint16_t)(word >> 16);
}

/* |sum| < 2^31 is checked when the library is built. */
static int8_t saturated(const uint32_t *lane, int32_t form, int32_t sum)
{
    const int64_t product = (int64_t)sum * (int32_t)lane[1];
    int32_t y;
    if (form == QMCU_LINE) {
        y = (int32_t)(product >> 32) >> QMCU_LINE_SHIFT;
    } else {
        y = ((int32_t)((product + ((int64_t)1 << 31)) >> 32) + (int32_t)lane[2] + (sum >> 31)) >> (lane[3] & 0xffu);
    }
    return (int8_t)(y < -128 ? -128 : y > 127 ? 127 : y);
}

/* The products of both lanes. */
static inline int32_t dual(uint32_t x, uint32_t w)
{
    return low_lane(x) * low_lane(w) + high_lane(x) * high_lane(w);
}

void qmcu_planes_row__ref(const uint32_t *plane, const qmcu_planes_row_t *row, int8_t *out)
{
    const int32_t words = row->columns * row->pairs, step = row->stride * row->pairs * QMCU_BLOCK;
    const uint32_t *lane = row->channel;
    for (int32_t c = 0; c < row->channels; ++c, lane += row->channel_words) {
        for (int32_t i = 0; i < row->count; ++i) {
            const uint32_t *window = plane + c + i * step;
            int32_t sum = (int32_t)lane[0];
            for (int32_t k = 0; k < words; ++k) {
                sum += dual(window[k * QMCU_BLOCK], lane[QMCU_LANE_HEAD + k]);
            }
            out[c + i * row->pitch] = saturated(lane, row->form, sum);
        }
    }
}

/* A row of outputs of one channel; is_odd: windows begin with the lower row of a pair. */
static void compute_row(const qmcu_planes_rows_t *rows, const uint32_t *plane, const uint32_t *lane, int is_odd,
                        int8_t *out)
{
    const uint32_t *weights = lane + QMCU_LANE_HEAD;
    const int32_t column = QMCU_COLUMN_PAIRS * QMCU_BLOCK;
    for (int32_t i = 0; i < rows->count; ++i) {
        const uint32_t *window = plane + i * rows->stride * column;
        int32_t sum = (int32_t)lane[0];
        for (int32_t x = 0; x < 3; ++x, window += column) {
            const uint32_t first = window[0], second = window[QMCU_BLOCK];
            const int32_t single = is_odd ? high_lane(first) : low_lane(second);
            const int32_t weight = x == 1 ? high_lane(weights[3]) : low_lane(weights[x == 0 ? 3 : 4]);
            sum += dual(is_odd ? second : first, weights[x]) + single * weight;
        }
        out[i * rows->pitch] = saturated(lane, rows->form, sum);
    }
}

void qmcu_planes_rows_3__ref(const qmcu_planes_rows_t *rows)
{
    const uint32_t *lane = rows->channel;
    for (int32_t c = 0; c < rows->channels; ++c) {
        for (int part = 0; part < 2; ++part, lane += QMCU_LANE_HEAD + QMCU_WINDOW_3_WORDS) {
            for (int32_t y = 0; y < rows->part[part].rows; ++y) {
                const uint32_t *plane = rows->part[part].plane + y * QMCU_BLOCK + c;
                compute_row(rows, plane, lane, part, rows->part[part].out + y * rows->row_step + c);
            }
        }
    }
}
