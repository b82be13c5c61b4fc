/* conv_2d.c: gathers one window per output pixel, unpacked, padding filled with the zero-point, then multiplies it with
 * every output channel's weights. */
#include "conv_2d.h"

#include <string.h>

#include "../primitives/runs.h"

/* Copies kernel.w pixels of input row y, from column x on, into window[kernel.w][in.c]. */
static void gather_row(const qmcu_conv_2d_t *layer, const qmcu_source_t *in, int32_t y, int32_t x, int8_t *window)
{
    const int32_t width = layer->in.w, taps = layer->kernel.w, step = layer->dilation.w;
    const int32_t bits = QMCU_PACKED ? layer->in.bits : 8;
    const size_t channels = (size_t)layer->in.c;
    if (y < 0 || y >= layer->in.h) {
        memset(window, layer->in_zero, (size_t)taps * channels);
        return;
    }
    const int8_t *row = qmcu_source_row(in, y);
    int32_t place = (x - in->left) * in->pixel_bytes; /* within the row */
    const int have_no_gap = in->pixel_bytes * 8 == layer->in.c * bits;
    if (step == 1 && x >= 0 && x + taps <= width && have_no_gap) {
        qmcu_fetch(row + place, bits, (size_t)taps * channels, window);
        return;
    }
    for (int32_t tap = 0; tap < taps; ++tap, x += step, place += step * in->pixel_bytes, window += channels) {
        if (x >= 0 && x < width) {
            qmcu_fetch(row + place, bits, channels, window);
        } else {
            memset(window, layer->in_zero, channels);
        }
    }
}

/* Multiplies one window of k values with all output channels, a block of accumulators at a time. */
static void multiply(const qmcu_conv_2d_t *layer, const int8_t *window, int32_t k, int8_t *out)
{
    int32_t sum[QMCU_CHANNEL_BLOCK];
    int8_t values[QMCU_CHANNEL_BLOCK];
    const int32_t step = qmcu_run_bytes(k, layer->weight_bits);
    const int32_t correction = layer->weight_zero != 0 ? layer->weight_zero * qmcu_sum_s8(window, k) : 0;
    for (int32_t first = 0; first < layer->out.c; first += QMCU_CHANNEL_BLOCK) {
        const int32_t left = layer->out.c - first;
        const int32_t count = left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK;
        int8_t *y = qmcu_room(out, layer->out.bits, first, values);
        qmcu_matvec(window, layer->weights + (ptrdiff_t)first * step, step, layer->weight_bits, 0, k, count, sum);
        for (int32_t c = 0; correction != 0 && c < count; ++c) {
            sum[c] -= correction;
        }
        qmcu_requant_s8(sum, &layer->requant, first, count, y);
        qmcu_store(y, count, out, layer->out.bits, first);
    }
}

/* The window of output pixel (oy, ox). */
static void gather(const qmcu_conv_2d_t *layer, const qmcu_source_t *in, int32_t oy, int32_t ox, int8_t *window)
{
    const int32_t x = ox * layer->stride.w - layer->pad.left;
    int32_t y = oy * layer->stride.h - layer->pad.top;
    for (int32_t ky = 0; ky < layer->kernel.h; ++ky) {
        gather_row(layer, in, y, x, window);
        y += layer->dilation.h;
        window += layer->kernel.w * layer->in.c;
    }
}

void qmcu_conv_2d_part(const qmcu_conv_2d_t *layer, const qmcu_part_t *part, int8_t *window)
{
    const qmcu_source_t *in = &part->in;
    const int32_t left = part->region.left, right = part->region.right;
    const int32_t k = layer->kernel.h * layer->kernel.w * layer->in.c;
    const int32_t step = window == NULL ? layer->stride.w * in->pixel_bytes : 0;
    for (int32_t oy = part->region.top; oy < part->region.bottom; ++oy) {
        const int8_t *row = window == NULL ? qmcu_source_row(in, oy * layer->stride.h) : window;
        int32_t place = window == NULL ? (left * layer->stride.w - in->left) * in->pixel_bytes : 0; /* in the row */
        int8_t *out = qmcu_target_pixel(&part->out, oy, left);
        for (int32_t ox = left; ox < right; ++ox) {
            if (window != NULL) {
                gather(layer, in, oy, ox, window);
            }
            multiply(layer, row + place, k, out);
            place += step;
            out += part->out.pixel_bytes;
        }
    }
}

void qmcu_conv_2d(const qmcu_conv_2d_t *layer, const int8_t *in, int8_t *out, int8_t *window)
{
    const qmcu_part_t part = qmcu_whole(layer->in, in, layer->out, out);
    qmcu_conv_2d_part(layer, &part, window);
}
