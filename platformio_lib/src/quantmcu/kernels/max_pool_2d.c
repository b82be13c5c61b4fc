/* max_pool_2d.c: the maximum grows in the output, pixel by pixel of a window within the image. */
#include "max_pool_2d.h"

#include <string.h>

#include "../core/window.h"
#include "../primitives/primitives.h"

/* One output pixel, from its window. */
static void find_maximum(const qmcu_max_pool_2d_t *layer, const qmcu_source_t *in, qmcu_region_t window, int8_t *out)
{
    const int32_t channels = layer->in.c, high = layer->high;
    memset(out, layer->low, (size_t)channels); /* the lower clamp */
    for (int32_t y = window.top; y < window.bottom; ++y) {
        const int8_t *pixel = qmcu_source_pixel(in, y, window.left);
        for (int32_t x = window.left; x < window.right; ++x) {
            qmcu_max_s8(pixel, channels, out);
            pixel += in->pixel_bytes;
        }
    }
    for (int32_t c = 0; c < channels; ++c) {
        out[c] = (int8_t)(out[c] > high ? high : out[c]);
    }
}

void qmcu_max_pool_2d_part(const qmcu_max_pool_2d_t *layer, const qmcu_part_t *part)
{
    const qmcu_region_t region = part->region;
    for (int32_t oy = region.top; oy < region.bottom; ++oy) {
        int8_t *out = qmcu_target_pixel(&part->out, oy, region.left);
        for (int32_t ox = region.left; ox < region.right; ++ox) {
            find_maximum(layer, &part->in, qmcu_window(layer->in, layer->window, layer->stride, layer->pad, oy, ox),
                         out);
            out += part->out.pixel_bytes;
        }
    }
}

void qmcu_max_pool_2d(const qmcu_max_pool_2d_t *layer, const int8_t *in, int8_t *out)
{
    const qmcu_part_t part = qmcu_whole(layer->in, in, layer->out, out);
    qmcu_max_pool_2d_part(layer, &part);
}
