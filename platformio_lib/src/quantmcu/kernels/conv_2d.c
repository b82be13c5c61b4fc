/* conv_2d.c: gathers one window per output pixel, padding filled with the zero-point, then multiplies it with
 * every output channel's weights. */
#include "conv_2d.h"

#include <string.h>

#include "../primitives/primitives.h"

/* Copies the input window of output pixel (oy, ox) into window[kernel.h][kernel.w][in.c]. */
static void gather(const qmcu_conv_2d_t *layer, const int8_t *in, int32_t oy, int32_t ox, int8_t *window)
{
    const size_t channels = (size_t)layer->in.c;
    for (int32_t ky = 0; ky < layer->kernel.h; ++ky) {
        const int32_t y = oy * layer->stride.h - layer->pad.top + ky * layer->dilation.h;
        for (int32_t kx = 0; kx < layer->kernel.w; ++kx) {
            const int32_t x = ox * layer->stride.w - layer->pad.left + kx * layer->dilation.w;
            if (y >= 0 && y < layer->in.h && x >= 0 && x < layer->in.w) {
                memcpy(window, in + ((ptrdiff_t)y * layer->in.w + x) * layer->in.c, channels);
            } else {
                memset(window, layer->in_zero, channels);
            }
            window += channels;
        }
    }
}

/* Multiplies one window of k values with all output channels, a block of accumulators at a time. */
static void multiply(const qmcu_conv_2d_t *layer, const int8_t *window, int32_t k, int8_t *out)
{
    int32_t sum[QMCU_CHANNEL_BLOCK];
    const int32_t correction =
        layer->weight_zero != 0 ? (int32_t)layer->weight_zero * qmcu_sum_s8(window, k) : 0;
    for (int32_t first = 0; first < layer->out.c; first += QMCU_CHANNEL_BLOCK) {
        const int32_t left = layer->out.c - first;
        const int32_t count = left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK;
        qmcu_matvec_s8(window, layer->weights + (ptrdiff_t)first * k, k, count, sum);
        for (int32_t c = 0; correction != 0 && c < count; ++c) {
            sum[c] -= correction;
        }
        qmcu_requant_s8(sum, &layer->requant, first, count, out + first);
    }
}

void qmcu_conv_2d(const qmcu_conv_2d_t *layer, const int8_t *in, int8_t *out, int8_t *window)
{
    const int32_t k = layer->kernel.h * layer->kernel.w * layer->in.c;
    for (int32_t oy = 0; oy < layer->out.h; ++oy) {
        for (int32_t ox = 0; ox < layer->out.w; ++ox) {
            if (window == NULL) {
                const ptrdiff_t pixel = (ptrdiff_t)(oy * layer->stride.h) * layer->in.w + ox * layer->stride.w;
                multiply(layer, in + pixel * layer->in.c, k, out);
            } else {
                gather(layer, in, oy, ox, window);
                multiply(layer, window, k, out);
            }
            out += layer->out.c;
        }
    }
}
