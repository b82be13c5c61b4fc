/* mean.c: sums a block of inner elements at a time, then scales. */
#include "mean.h"

#include <string.h>

#include "../core/fixedpoint.h"
#include "../primitives/values.h"

/* The means of count sums. */
static void scale(const qmcu_mean_t *layer, const int32_t *sum, int32_t count, int8_t *out)
{
    const int32_t bias = layer->bias, multiplier = layer->multiplier, shift = layer->shift;
    const int32_t zero_point = layer->zero_point;
    const int32_t low = QMCU_PACKED ? layer->low : INT8_MIN, high = QMCU_PACKED ? layer->high : INT8_MAX;
    for (int32_t c = 0; c < count; ++c) {
        const int32_t y = qmcu_multiply_by_multiplier(sum[c] + bias, multiplier, shift);
        out[c] = qmcu_clamp_s8(y + zero_point, low, high);
    }
}

/* Sums of `width` columns, from value `at` of the input on. */
static void add_up(const qmcu_mean_t *layer, const int8_t *in, int32_t at, int32_t width, int32_t *sum)
{
    int8_t values[QMCU_CHANNEL_BLOCK];
    memset(sum, 0, QMCU_CHANNEL_BLOCK * sizeof *sum);
    for (int32_t i = 0; i < layer->count; ++i) {
        const int8_t *x = qmcu_load_values(in, layer->in_channels, layer->in_bits, at, width, values);
        qmcu_accumulate_s8(x, width, sum);
        at += layer->inner;
    }
}

void qmcu_mean(const qmcu_mean_t *layer, const int8_t *in, int8_t *out)
{
    int32_t sum[QMCU_CHANNEL_BLOCK];
    int8_t values[QMCU_CHANNEL_BLOCK];
    int32_t start = 0, place = 0; /* in the input, and in the output */
    for (int32_t o = 0; o < layer->outer; ++o) {
        for (int32_t first = 0; first < layer->inner; first += QMCU_CHANNEL_BLOCK) {
            const int32_t left = layer->inner - first;
            const int32_t width = left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK;
            int8_t *to = qmcu_room(out, layer->out_bits, place, values);
            add_up(layer, in, start + first, width, sum);
            scale(layer, sum, width, to);
            qmcu_store_values(to, width, out, layer->out_channels, layer->out_bits, place);
            place += width;
        }
        start += layer->count * layer->inner;
    }
}

void qmcu_mean_add(const qmcu_mean_t *layer, const qmcu_part_t *part, int32_t *sum)
{
    const qmcu_region_t region = part->region;
    for (int32_t y = region.top; y < region.bottom; ++y) {
        const int8_t *pixel = qmcu_source_pixel(&part->in, y, region.left);
        for (int32_t x = region.left; x < region.right; ++x) {
            qmcu_accumulate(pixel, layer->in_bits, 0, layer->inner, sum);
            pixel += part->in.pixel_bytes;
        }
    }
}

void qmcu_mean_end(const qmcu_mean_t *layer, const int32_t *sum, int8_t *out)
{
    int8_t values[QMCU_CHANNEL_BLOCK];
    int32_t count = layer->inner;
    for (int32_t first = 0; first < layer->inner; first += count) {
        count = qmcu_block(layer->inner - first, layer->out_bits);
        int8_t *to = qmcu_room(out, layer->out_bits, first, values);
        scale(layer, sum + first, count, to);
        qmcu_store(to, count, out, layer->out_bits, first);
    }
}
