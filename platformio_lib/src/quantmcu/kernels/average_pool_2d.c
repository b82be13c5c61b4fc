/* average_pool_2d.c: sums a block of channels over the pixels of a window within the image, then divides. */
#include "average_pool_2d.h"

#include <string.h>

#include "../core/fixedpoint.h"
#include "../core/window.h"
#include "../primitives/primitives.h"

/* round(sum / count), halves away from zero; |sum| <= 256 * count. */
static int32_t rounded_mean(int32_t sum, int32_t count)
{
    const int32_t half = count / 2;
    return (sum < 0 ? sum - half : sum + half) / count;
}

/* Channels [first, first + count) of one output pixel. */
static void average(const qmcu_average_pool_2d_t *layer, const int8_t *in, qmcu_window_t window, int32_t first,
                    int32_t count, int8_t *out)
{
    const int32_t pixels = (window.bottom - window.top) * (window.right - window.left);
    int32_t sum[QMCU_CHANNEL_BLOCK];
    memset(sum, 0, sizeof sum);
    for (int32_t y = window.top; y < window.bottom; ++y) {
        for (int32_t x = window.left; x < window.right; ++x) {
            qmcu_accumulate_s8(in + ((ptrdiff_t)y * layer->in.w + x) * layer->in.c + first, count, sum);
        }
    }
    for (int32_t c = 0; c < count; ++c) {
        const int32_t mean = rounded_mean(sum[c] + layer->offset * pixels, pixels) - layer->offset;
        out[first + c] = qmcu_clamp_s8(mean, layer->low, layer->high);
    }
}

void qmcu_average_pool_2d(const qmcu_average_pool_2d_t *layer, const int8_t *in, int8_t *out)
{
    for (int32_t oy = 0; oy < layer->out.h; ++oy) {
        for (int32_t ox = 0; ox < layer->out.w; ++ox) {
            const qmcu_window_t window = qmcu_window(layer->in, layer->window, layer->stride, layer->pad, oy, ox);
            for (int32_t first = 0; first < layer->in.c; first += QMCU_CHANNEL_BLOCK) {
                const int32_t left = layer->in.c - first;
                average(layer, in, window, first, left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK, out);
            }
            out += layer->out.c;
        }
    }
}
