/* mean.c: sums a block of inner elements at a time, then scales. */
#include "mean.h"

#include <string.h>

#include "../core/fixedpoint.h"
#include "../primitives/primitives.h"

/* The means of count sums. */
static void scale(const qmcu_mean_t *layer, const int32_t *sum, int32_t count, int8_t *out)
{
    const int32_t bias = layer->bias, multiplier = layer->multiplier, shift = layer->shift;
    const int32_t zero_point = layer->zero_point;
    for (int32_t c = 0; c < count; ++c) {
        const int32_t y = qmcu_multiply_by_multiplier(sum[c] + bias, multiplier, shift);
        out[c] = qmcu_clamp_s8(y + zero_point, INT8_MIN, INT8_MAX);
    }
}

void qmcu_mean(const qmcu_mean_t *layer, const int8_t *in, int8_t *out)
{
    int32_t sum[QMCU_CHANNEL_BLOCK];
    for (int32_t o = 0; o < layer->outer; ++o) {
        for (int32_t first = 0; first < layer->inner; first += QMCU_CHANNEL_BLOCK) {
            const int32_t left = layer->inner - first;
            const int32_t width = left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK;
            memset(sum, 0, sizeof sum);
            for (int32_t i = 0; i < layer->count; ++i) {
                qmcu_accumulate_s8(in + (ptrdiff_t)i * layer->inner + first, width, sum);
            }
            scale(layer, sum, width, out + first);
        }
        in += (ptrdiff_t)layer->count * layer->inner;
        out += layer->inner;
    }
}

void qmcu_mean_add(const qmcu_mean_t *layer, const qmcu_part_t *part, int32_t *sum)
{
    const qmcu_region_t region = part->region;
    for (int32_t y = region.top; y < region.bottom; ++y) {
        const int8_t *pixel = qmcu_source_pixel(&part->in, y, region.left);
        for (int32_t x = region.left; x < region.right; ++x) {
            qmcu_accumulate_s8(pixel, layer->inner, sum);
            pixel += part->in.pixel_bytes;
        }
    }
}

void qmcu_mean_end(const qmcu_mean_t *layer, const int32_t *sum, int8_t *out)
{
    scale(layer, sum, layer->inner, out);
}
