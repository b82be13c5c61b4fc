/* average_pool_2d.c: sums a block of channels over the pixels of a window within the image, then divides. */
#include "average_pool_2d.h"

#include <string.h>

#include "../core/fixedpoint.h"
#include "../core/window.h"
#include "../primitives/values.h"

/* round(sum / count), halves away from zero; |sum| <= 256 * count. */
static int32_t rounded_mean(int32_t sum, int32_t count)
{
    const int32_t half = count / 2;
    return (sum < 0 ? sum - half : sum + half) / count;
}

/* The means of sums over so many pixels, in the output's scale. */
static void scale(const qmcu_average_pool_2d_t *layer, const int32_t *sum, int32_t pixels, int32_t count, int8_t *out)
{
    const int32_t low = layer->low, high = layer->high, bias = -layer->in_zero * pixels;
    const int32_t *entry = layer->scales;
    while (entry[0] != pixels) {
        entry += 3;
    }
    for (int32_t c = 0; c < count; ++c) {
        const int32_t y = qmcu_multiply_by_multiplier(sum[c] + bias, entry[1], entry[2]);
        out[c] = qmcu_clamp_s8(y + layer->out_zero, low, high);
    }
}

/* The means of sums over so many pixels. */
static void divide(const qmcu_average_pool_2d_t *layer, const int32_t *sum, int32_t pixels, int32_t count, int8_t *out)
{
    if (QMCU_PACKED && layer->scales != NULL) {
        scale(layer, sum, pixels, count, out);
        return;
    }
    const int32_t offset = layer->offset, low = layer->low, high = layer->high;
    for (int32_t c = 0; c < count; ++c) {
        const int32_t mean = rounded_mean(sum[c] + offset * pixels, pixels) - offset;
        out[c] = qmcu_clamp_s8(mean, low, high);
    }
}

/* Adds channels [first, first + count) of the pixels of a region. */
static void accumulate(const qmcu_source_t *in, int32_t bits, qmcu_region_t region, int32_t first, int32_t count,
                       int32_t *sum)
{
    for (int32_t y = region.top; y < region.bottom; ++y) {
        const int8_t *pixel = qmcu_source_pixel(in, y, region.left);
        for (int32_t x = region.left; x < region.right; ++x) {
            qmcu_accumulate(pixel, bits, first, count, sum);
            pixel += in->pixel_bytes;
        }
    }
}

/* One output pixel, from its window. */
static void average(const qmcu_average_pool_2d_t *layer, const qmcu_source_t *in, qmcu_region_t window, int8_t *out)
{
    const int32_t pixels = (window.bottom - window.top) * (window.right - window.left);
    int32_t sum[QMCU_CHANNEL_BLOCK];
    int8_t values[QMCU_CHANNEL_BLOCK];
    for (int32_t first = 0; first < layer->in.c; first += QMCU_CHANNEL_BLOCK) {
        const int32_t left = layer->in.c - first;
        const int32_t count = left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK;
        memset(sum, 0, sizeof sum);
        accumulate(in, layer->in.bits, window, first, count, sum);
        int8_t *to = qmcu_room(out, layer->out.bits, first, values);
        divide(layer, sum, pixels, count, to);
        qmcu_store(to, count, out, layer->out.bits, first);
    }
}

void qmcu_average_pool_2d_part(const qmcu_average_pool_2d_t *layer, const qmcu_part_t *part)
{
    const qmcu_region_t region = part->region;
    for (int32_t oy = region.top; oy < region.bottom; ++oy) {
        int8_t *out = qmcu_target_pixel(&part->out, oy, region.left);
        for (int32_t ox = region.left; ox < region.right; ++ox) {
            average(layer, &part->in, qmcu_window(layer->in, layer->window, layer->stride, layer->pad, oy, ox), out);
            out += part->out.pixel_bytes;
        }
    }
}

void qmcu_average_pool_2d(const qmcu_average_pool_2d_t *layer, const int8_t *in, int8_t *out)
{
    const qmcu_part_t part = qmcu_whole(layer->in, in, layer->out, out);
    qmcu_average_pool_2d_part(layer, &part);
}

void qmcu_average_pool_2d_add(const qmcu_average_pool_2d_t *layer, const qmcu_part_t *part, int32_t *sum)
{
    accumulate(&part->in, layer->in.bits, part->region, 0, layer->in.c, sum);
}

void qmcu_average_pool_2d_end(const qmcu_average_pool_2d_t *layer, const int32_t *sum, int8_t *out)
{
    const int32_t pixels = layer->in.h * layer->in.w, channels = layer->in.c;
    int8_t values[QMCU_CHANNEL_BLOCK];
    int32_t count = channels;
    for (int32_t first = 0; first < channels; first += count) {
        count = qmcu_block(channels - first, layer->out.bits);
        int8_t *to = qmcu_room(out, layer->out.bits, first, values);
        divide(layer, sum + first, pixels, count, to);
        qmcu_store(to, count, out, layer->out.bits, first);
    }
}
