/* max_pool_2d.c: the maximum grows in the output, pixel by pixel of a window within the image. */
#include "max_pool_2d.h"

#include <string.h>

#include "../core/window.h"
#include "../primitives/values.h"

/* Channels [first, first + count) of one output pixel, from its window. */
static void find_maximum(const qmcu_max_pool_2d_t *layer, const qmcu_source_t *in, qmcu_region_t window, int32_t first,
                         int32_t count, int8_t *out)
{
    const int32_t bits = layer->in.bits, high = layer->high;
    int8_t values[QMCU_CHANNEL_BLOCK]; /* count is no more where they are unpacked */
    memset(out, layer->low, (size_t)count); /* the lower clamp */
    for (int32_t y = window.top; y < window.bottom; ++y) {
        const int8_t *pixel = qmcu_source_pixel(in, y, window.left);
        for (int32_t x = window.left; x < window.right; ++x) {
            qmcu_max_s8(qmcu_load(pixel, bits, first, count, values), count, out);
            pixel += in->pixel_bytes;
        }
    }
    for (int32_t c = 0; c < count; ++c) {
        out[c] = (int8_t)(out[c] > high ? high : out[c]);
    }
}

/* One output pixel where a map is packed, a block at a time. */
static void find_packed(const qmcu_max_pool_2d_t *layer, const qmcu_source_t *in, qmcu_region_t window, int8_t *out)
{
    const int32_t channels = layer->in.c, bits = layer->out.bits;
    int8_t values[QMCU_CHANNEL_BLOCK];
    for (int32_t first = 0; first < channels; first += QMCU_CHANNEL_BLOCK) {
        const int32_t left = channels - first, count = left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK;
        int8_t *to = qmcu_room(out, bits, first, values);
        find_maximum(layer, in, window, first, count, to);
        qmcu_look_up(layer->table, count, to);
        qmcu_store(to, count, out, bits, first);
    }
}

void qmcu_max_pool_2d_part(const qmcu_max_pool_2d_t *layer, const qmcu_part_t *part)
{
    const qmcu_region_t region = part->region;
    const int is_packed = QMCU_PACKED && (layer->in.bits < 8 || layer->out.bits < 8);
    for (int32_t oy = region.top; oy < region.bottom; ++oy) {
        int8_t *out = qmcu_target_pixel(&part->out, oy, region.left);
        for (int32_t ox = region.left; ox < region.right; ++ox) {
            const qmcu_region_t window = qmcu_window(layer->in, layer->window, layer->stride, layer->pad, oy, ox);
            if (is_packed) {
                find_packed(layer, &part->in, window, out);
            } else {
                find_maximum(layer, &part->in, window, 0, layer->in.c, out);
            }
            out += part->out.pixel_bytes;
        }
    }
}

void qmcu_max_pool_2d(const qmcu_max_pool_2d_t *layer, const int8_t *in, int8_t *out)
{
    const qmcu_part_t part = qmcu_whole(layer->in, in, layer->out, out);
    qmcu_max_pool_2d_part(layer, &part);
}
