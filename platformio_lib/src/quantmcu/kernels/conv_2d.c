/* conv_2d.c: gathers one window per output pixel, padding filled with the zero-point, then multiplies it with
 * every output channel's weights. */
#include "conv_2d.h"

#include <string.h>

#include "../primitives/primitives.h"

/* Copies kernel.w pixels of input row y, from column x on, into window[kernel.w][in.c]. */
static void gather_row(const qmcu_conv_2d_t *layer, const int8_t *in, int32_t y, int32_t x, int8_t *window)
{
    const int32_t width = layer->in.w, taps = layer->kernel.w, step = layer->dilation.w;
    const size_t channels = (size_t)layer->in.c;
    const int8_t *row = in + (ptrdiff_t)y * width * layer->in.c;
    if (y < 0 || y >= layer->in.h) {
        memset(window, layer->in_zero, (size_t)taps * channels);
    } else if (step == 1 && x >= 0 && x + taps <= width) {
        memcpy(window, row + (ptrdiff_t)x * layer->in.c, (size_t)taps * channels);
    } else {
        for (int32_t tap = 0; tap < taps; ++tap, x += step, window += channels) {
            if (x >= 0 && x < width) {
                memcpy(window, row + (ptrdiff_t)x * layer->in.c, channels);
            } else {
                memset(window, layer->in_zero, channels);
            }
        }
    }
}

/* Multiplies one window of k values with all output channels, a block of accumulators at a time. */
static void multiply(const qmcu_conv_2d_t *layer, const int8_t *window, int32_t k, int8_t *out)
{
    int32_t sum[QMCU_CHANNEL_BLOCK];
    const int32_t correction = layer->weight_zero != 0 ? layer->weight_zero * qmcu_sum_s8(window, k) : 0;
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
    const int32_t row_k = layer->kernel.w * layer->in.c, k = layer->kernel.h * row_k;
    for (int32_t oy = 0; oy < layer->out.h; ++oy) {
        for (int32_t ox = 0; ox < layer->out.w; ++ox) {
            const int32_t y = oy * layer->stride.h - layer->pad.top, x = ox * layer->stride.w - layer->pad.left;
            if (window == NULL) {
                multiply(layer, in + ((ptrdiff_t)y * layer->in.w + x) * layer->in.c, k, out);
            } else {
                for (int32_t ky = 0; ky < layer->kernel.h; ++ky) {
                    gather_row(layer, in, y + ky * layer->dilation.h, x, window + (ptrdiff_t)ky * row_k);
                }
                multiply(layer, window, k, out);
            }
            out += layer->out.c;
        }
    }
}
