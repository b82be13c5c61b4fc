/* depthwise_conv_2d.c: a block of channels at a time, in one of two ways.
 *
 * Input and weights of 8 bits: pixel by pixel, accumulated over one row of kernel taps after the other. A tap is a
 * pointer to the block's channels of one pixel: in the input or, for padding, in a block of zero-points.
 *
 * Packed ones: strip by strip, some columns of the output wide. The block's weights, and those rows of the input that a
 * strip's windows see, lie unpacked in scratch, padding filled in: a tap is a pointer into them. Rows stay there for as
 * long as windows see them, so that a value is unpacked once for the strip and not once for every tap. */
#include "depthwise_conv_2d.h"

#include <string.h>

#include "../primitives/runs.h"

#define TAPS 8 /* of a kernel row that are taken together: pointers on the stack */

/* One output pixel's channels [first, first + count). */
typedef struct {
    const qmcu_source_t *in;
    int32_t first, count;
    int32_t sum[QMCU_CHANNEL_BLOCK];
    int8_t padding[QMCU_CHANNEL_BLOCK];
} block_t;

/* Adds up to TAPS taps of a kernel row, from input column x on; row is NULL for a row of padding. */
static void add_taps(const qmcu_depthwise_conv_2d_t *layer, const int8_t *row, int32_t x, const int8_t *weights,
                     int32_t taps, block_t *block)
{
    const int8_t *tap[TAPS];
    const int32_t step = layer->dilation.w * block->in->pixel_bytes;
    int32_t place = (x - block->in->left) * block->in->pixel_bytes + block->first; /* within the row */
    for (int32_t t = 0; t < taps; ++t, x += layer->dilation.w, place += step) {
        const int inside = row != NULL && x >= 0 && x < layer->in.w;
        tap[t] = inside ? row + place : block->padding;
    }
    qmcu_depthwise_s8(tap, taps, weights, layer->out.c, block->count, block->sum);
    for (int32_t t = 0; layer->weight_zero != 0 && t < taps; ++t) {
        for (int32_t c = 0; c < block->count; ++c) {
            block->sum[c] -= layer->weight_zero * tap[t][c];
        }
    }
}

/* Adds one tap where several output channels read one input channel; pixel is NULL for padding, whose block has as many
 * values as there are output channels in it. */
static void add_spread_tap(const qmcu_depthwise_conv_2d_t *layer, const int8_t *pixel, const int8_t *weights,
                           block_t *block)
{
    const int32_t multiplier = layer->multiplier, weight_zero = layer->weight_zero;
    const int8_t *value = pixel != NULL ? pixel + block->first / multiplier : block->padding;
    int32_t left = multiplier - block->first % multiplier;
    for (int32_t c = 0; c < block->count; ++c) {
        block->sum[c] += *value * (weights[c] - weight_zero);
        if (--left == 0) {
            left = multiplier;
            ++value;
        }
    }
}

/* Adds a row of the kernel; weights are those of its first tap. */
static void add_row(const qmcu_depthwise_conv_2d_t *layer, const int8_t *row, int32_t x, const int8_t *weights,
                    block_t *block)
{
    const int32_t step = layer->multiplier == 1 ? TAPS : 1;
    for (int32_t t = 0; t < layer->kernel.w; t += step, x += step * layer->dilation.w) {
        const int8_t *first_weight = weights + (ptrdiff_t)t * layer->out.c;
        if (layer->multiplier == 1) {
            const int32_t left = layer->kernel.w - t;
            add_taps(layer, row, x, first_weight, left < TAPS ? left : TAPS, block);
        } else {
            const int inside = row != NULL && x >= 0 && x < layer->in.w;
            const ptrdiff_t place = (ptrdiff_t)(x - block->in->left) * block->in->pixel_bytes;
            add_spread_tap(layer, inside ? row + place : NULL, first_weight, block);
        }
    }
}

/* The output pixel whose window begins at input row y and column x. */
static void convolve(const qmcu_depthwise_conv_2d_t *layer, int32_t y, int32_t x, block_t *block, int8_t *out)
{
    int8_t values[QMCU_CHANNEL_BLOCK];
    for (block->first = 0; block->first < layer->out.c; block->first += QMCU_CHANNEL_BLOCK) {
        const int32_t left = layer->out.c - block->first;
        const int8_t *weights = layer->weights + block->first;
        int8_t *room = qmcu_room(out, layer->out.bits, block->first, values);
        block->count = left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK;
        memset(block->sum, 0, sizeof block->sum);
        for (int32_t ky = 0; ky < layer->kernel.h; ++ky) {
            const int32_t iy = y + ky * layer->dilation.h;
            const int8_t *row = iy >= 0 && iy < layer->in.h ? qmcu_source_row(block->in, iy) : NULL;
            add_row(layer, row, x, weights + (ptrdiff_t)ky * layer->kernel.w * layer->out.c, block);
        }
        qmcu_requant_s8(block->sum, &layer->requant, block->first, block->count, room);
        qmcu_store(room, block->count, out, layer->out.bits, block->first);
    }
}

static void run_pixels(const qmcu_depthwise_conv_2d_t *layer, const qmcu_part_t *part)
{
    const qmcu_region_t region = part->region;
    block_t block;
    block.in = &part->in;
    memset(block.padding, layer->in_zero, sizeof block.padding);
    for (int32_t oy = region.top; oy < region.bottom; ++oy) {
        const int32_t y = oy * layer->stride.h - layer->pad.top;
        int8_t *out = qmcu_target_pixel(&part->out, oy, region.left);
        for (int32_t ox = region.left; ox < region.right; ++ox) {
            convolve(layer, y, ox * layer->stride.w - layer->pad.left, &block, out);
            out += part->out.pixel_bytes;
        }
    }
}

#if QMCU_PACKED
#define STRIP_TAPS 9 /* of a window that are taken together */
#define STRIP_CHANNELS (QMCU_CHANNEL_BLOCK < 32 ? QMCU_CHANNEL_BLOCK : 32) /* scratch is sized for no more */

/* Output columns [left, right) of channels [first, first + count). */
typedef struct {
    int32_t left, right, first, count;
    const int8_t *weights; /* from the first channel on, of one tap after the other */
    int32_t weight_step;   /* from tap to tap */
    int8_t *rows;          /* [size.h][size.w][count], a ring: what a row of windows sees */
    qmcu_size_t size;
} strip_t;

/* The strip's channels of an input pixel, once for each output channel that reads them. */
static void fill_pixel(const qmcu_depthwise_conv_2d_t *layer, const strip_t *strip, const int8_t *pixel, int8_t *out)
{
    int8_t buffer[STRIP_CHANNELS];
    const int32_t multiplier = layer->multiplier, bits = layer->in.bits;
    if (multiplier == 1) {
        const int8_t *values = qmcu_load(pixel, bits, strip->first, strip->count, out);
        if (values != out) {
            memcpy(out, values, (size_t)strip->count);
        }
        return;
    }
    const int32_t first = strip->first / multiplier, end = (strip->first + strip->count - 1) / multiplier + 1;
    const int8_t *value = qmcu_load(pixel, bits, first, end - first, buffer);
    int32_t left = multiplier - strip->first % multiplier;
    for (int32_t c = 0; c < strip->count; ++c) {
        out[c] = *value;
        if (--left == 0) {
            left = multiplier;
            ++value;
        }
    }
}

/* What the strip's windows see of input row y. */
static void fill_row(const qmcu_depthwise_conv_2d_t *layer, const strip_t *strip, const qmcu_source_t *in, int32_t y,
                     int8_t *out)
{
    const int32_t start = strip->left * layer->stride.w - layer->pad.left, end = start + strip->size.w;
    const int32_t count = strip->count;
    int32_t x = start < 0 ? 0 : start, stop = end < layer->in.w ? end : layer->in.w;
    if (y < 0 || y >= layer->in.h || stop <= x) {
        memset(out, layer->in_zero, (size_t)(strip->size.w * count));
        return;
    }
    const int8_t *pixel = qmcu_source_pixel(in, y, x);
    memset(out, layer->in_zero, (size_t)((x - start) * count));
    for (out += (x - start) * count; x < stop; ++x, pixel += in->pixel_bytes, out += count) {
        fill_pixel(layer, strip, pixel, out);
    }
    memset(out, layer->in_zero, (size_t)((end - stop) * count));
}

/* sum[c] += products of some taps, for the strip's channels. */
static void multiply(const qmcu_depthwise_conv_2d_t *layer, const strip_t *strip, const int8_t *const *tap,
                     int32_t taps, const int8_t *weights, int32_t *sum)
{
    qmcu_depthwise_s8(tap, taps, weights, strip->weight_step, strip->count, sum);
    for (int32_t t = 0; layer->weight_zero != 0 && t < taps; ++t) {
        for (int32_t c = 0; c < strip->count; ++c) {
            sum[c] -= layer->weight_zero * tap[t][c];
        }
    }
}

/* The output pixel whose window begins in place `slot` of the ring, `offset` bytes into its rows. */
static void convolve_in_strip(const qmcu_depthwise_conv_2d_t *layer, const strip_t *strip, int32_t slot, int32_t offset,
                              int8_t *out)
{
    const int8_t *tap[STRIP_TAPS], *weights = strip->weights;
    int32_t sum[STRIP_CHANNELS];
    int8_t values[STRIP_CHANNELS], *room = qmcu_room(out, layer->out.bits, strip->first, values);
    const int32_t step = layer->dilation.w * strip->count, row_bytes = strip->size.w * strip->count;
    int32_t taps = 0;
    memset(sum, 0, (size_t)strip->count * sizeof *sum);
    for (int32_t ky = 0; ky < layer->kernel.h; ++ky) {
        const int8_t *value = strip->rows + slot * row_bytes + offset;
        for (int32_t left = layer->kernel.w; left > 0;) {
            const int32_t end = left < STRIP_TAPS - taps ? taps + left : STRIP_TAPS;
            for (left -= end - taps; taps < end; value += step) {
                tap[taps++] = value;
            }
            if (taps == STRIP_TAPS) {
                multiply(layer, strip, tap, taps, weights, sum);
                weights += taps * strip->weight_step;
                taps = 0;
            }
        }
        slot += layer->dilation.h;
        slot -= slot < strip->size.h ? 0 : strip->size.h;
    }
    if (taps > 0) {
        multiply(layer, strip, tap, taps, weights, sum);
    }
    qmcu_requant_s8(sum, &layer->requant, strip->first, strip->count, room);
    qmcu_store(room, strip->count, out, layer->out.bits, strip->first);
}

/* All rows of a strip. */
static void run_strip(const qmcu_depthwise_conv_2d_t *layer, const strip_t *strip, const qmcu_part_t *part)
{
    const int32_t height = strip->size.h;
    int32_t y = part->region.top * layer->stride.h - layer->pad.top;
    int32_t slot = 0, end = y; /* place of row y; rows up to `end` are there */
    for (int32_t oy = part->region.top; oy < part->region.bottom; ++oy) {
        int8_t *out = qmcu_target_pixel(&part->out, oy, strip->left);
        int32_t offset = 0;
        for (end = end < y ? y : end; end < y + height; ++end) {
            const int32_t place = (slot + end - y) % height;
            fill_row(layer, strip, &part->in, end, strip->rows + place * strip->size.w * strip->count);
        }
        for (int32_t ox = strip->left; ox < strip->right; ++ox, offset += layer->stride.w * strip->count) {
            convolve_in_strip(layer, strip, slot, offset, out);
            out += part->out.pixel_bytes;
        }
        y += layer->stride.h;
        slot = (slot + layer->stride.h) % height;
    }
}

/* Finds the block's weights, unpacked into scratch where they are packed; the ring follows them. */
static void load_weights(const qmcu_depthwise_conv_2d_t *layer, int8_t *scratch, strip_t *strip)
{
    const int32_t tap_bytes = qmcu_run_bytes(layer->out.c, layer->weight_bits);
    const int8_t *packed = layer->weights;
    strip->weights = layer->weights + strip->first;
    strip->weight_step = layer->out.c;
    strip->rows = scratch;
    if (layer->weight_bits < 8) {
        strip->weights = scratch;
        strip->weight_step = strip->count;
        for (int32_t t = 0; t < layer->kernel.h * layer->kernel.w; ++t, packed += tap_bytes) {
            (void)qmcu_load_weights(packed, layer->weight_bits, strip->first, strip->count, strip->rows);
            strip->rows += strip->count;
        }
    }
}

static void run_strips(const qmcu_depthwise_conv_2d_t *layer, const qmcu_part_t *part, int8_t *scratch)
{
    strip_t strip;
    const int32_t span = (layer->kernel.w - 1) * layer->dilation.w + 1; /* columns that a window covers */
    strip.size.h = (layer->kernel.h - 1) * layer->dilation.h + 1;
    for (strip.first = 0; strip.first < layer->out.c; strip.first += STRIP_CHANNELS) {
        const int32_t channels = layer->out.c - strip.first;
        strip.count = channels < STRIP_CHANNELS ? channels : STRIP_CHANNELS;
        load_weights(layer, scratch, &strip);
        for (strip.left = part->region.left; strip.left < part->region.right; strip.left = strip.right) {
            const int32_t columns = part->region.right - strip.left;
            strip.right = strip.left + (columns < layer->strip ? columns : layer->strip);
            strip.size.w = (strip.right - strip.left - 1) * layer->stride.w + span;
            run_strip(layer, &strip, part);
        }
    }
}
#endif

void qmcu_depthwise_conv_2d_part(const qmcu_depthwise_conv_2d_t *layer, const qmcu_part_t *part, int8_t *scratch)
{
#if QMCU_PACKED
    if (scratch != NULL) {
        run_strips(layer, part, scratch);
        return;
    }
#else
    (void)scratch;
#endif
    run_pixels(layer, part);
}

void qmcu_depthwise_conv_2d(const qmcu_depthwise_conv_2d_t *layer, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const qmcu_part_t part = qmcu_whole(layer->in, in, layer->out, out);
    qmcu_depthwise_conv_2d_part(layer, &part, scratch);
}
