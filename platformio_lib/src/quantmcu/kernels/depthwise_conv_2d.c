/* depthwise_conv_2d.c: a block of channels at a time, accumulated over one row of kernel taps after the other.
 *
 * A tap is a pointer to the block's channels of one pixel: in the input, unpacked from it or, for padding, in a block of
 * zero-points. */
#include "depthwise_conv_2d.h"

#include <string.h>

#include "../primitives/runs.h"

/* Taps of a kernel row taken together: pointers on the stack, and blocks of values and weights that are unpacked. */
#define TAPS (QMCU_PACKED ? 3 : 8)

/* One output pixel's channels [first, first + count). */
typedef struct {
    const qmcu_source_t *in;
    int32_t first, count;
    int32_t sum[QMCU_CHANNEL_BLOCK];
    int8_t padding[QMCU_CHANNEL_BLOCK];
} block_t;

static int has_packed_weights(const qmcu_depthwise_conv_2d_t *layer)
{
    return QMCU_PACKED && layer->weight_bits < 8;
}

/* Bytes of a tap's weights. */
static int32_t tap_bytes(const qmcu_depthwise_conv_2d_t *layer)
{
    return qmcu_run_bytes(layer->out.c, layer->weight_bits);
}

/* Adds up to TAPS taps of a kernel row, from input column x on; row is NULL for a row of padding. The weights of a tap
 * are those of the block's first channel and on or, packed, of all channels. */
static void add_taps(const qmcu_depthwise_conv_2d_t *layer, const int8_t *row, int32_t x, const int8_t *weights,
                     int32_t taps, block_t *block)
{
    const int8_t *tap[TAPS];
    int8_t values[TAPS * QMCU_CHANNEL_BLOCK], unpacked[TAPS * QMCU_CHANNEL_BLOCK];
    const int32_t step = layer->dilation.w * block->in->pixel_bytes;
    const int32_t packed_first = QMCU_PACKED && layer->in.bits < 8 ? block->first : 0; /* which has no byte of its own */
    int32_t place = (x - block->in->left) * block->in->pixel_bytes + block->first - packed_first; /* within the row */
    for (int32_t t = 0; t < taps; ++t, x += layer->dilation.w, place += step) {
        int8_t *buffer = values + t * QMCU_CHANNEL_BLOCK;
        const int inside = row != NULL && x >= 0 && x < layer->in.w;
        tap[t] = inside ? qmcu_load(row + place, layer->in.bits, packed_first, block->count, buffer) : block->padding;
    }
    if (has_packed_weights(layer)) {
        for (int32_t t = 0; t < taps; ++t, weights += tap_bytes(layer)) {
            int8_t *buffer = unpacked + t * QMCU_CHANNEL_BLOCK;
            qmcu_load_weights(weights, layer->weight_bits, block->first, block->count, buffer);
        }
        qmcu_depthwise_s8(tap, taps, unpacked, QMCU_CHANNEL_BLOCK, block->count, block->sum);
    } else {
        qmcu_depthwise_s8(tap, taps, weights, layer->out.c, block->count, block->sum);
    }
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
    int8_t values[QMCU_CHANNEL_BLOCK], unpacked[QMCU_CHANNEL_BLOCK];
    const int32_t multiplier = layer->multiplier, weight_zero = layer->weight_zero;
    const int32_t first = block->first / multiplier, end = (block->first + block->count - 1) / multiplier + 1;
    const int8_t *value =
        pixel != NULL ? qmcu_load(pixel, layer->in.bits, first, end - first, values) : block->padding;
    int32_t left = multiplier - block->first % multiplier;
    if (has_packed_weights(layer)) {
        weights = qmcu_load_weights(weights, layer->weight_bits, block->first, block->count, unpacked);
    }
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
        const int8_t *first_weight = weights + (ptrdiff_t)t * tap_bytes(layer);
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
        const int8_t *weights = layer->weights + (has_packed_weights(layer) ? 0 : block->first);
        int8_t *room = qmcu_room(out, layer->out.bits, block->first, values);
        block->count = left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK;
        memset(block->sum, 0, sizeof block->sum);
        for (int32_t ky = 0; ky < layer->kernel.h; ++ky) {
            const int32_t iy = y + ky * layer->dilation.h;
            const int8_t *row = iy >= 0 && iy < layer->in.h ? qmcu_source_row(block->in, iy) : NULL;
            add_row(layer, row, x, weights + (ptrdiff_t)ky * layer->kernel.w * tap_bytes(layer), block);
        }
        qmcu_requant_s8(block->sum, &layer->requant, block->first, block->count, room);
        qmcu_store(room, block->count, out, layer->out.bits, block->first);
    }
}

void qmcu_depthwise_conv_2d_part(const qmcu_depthwise_conv_2d_t *layer, const qmcu_part_t *part)
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

void qmcu_depthwise_conv_2d(const qmcu_depthwise_conv_2d_t *layer, const int8_t *in, int8_t *out)
{
    const qmcu_part_t part = qmcu_whole(layer->in, in, layer->out, out);
    qmcu_depthwise_conv_2d_part(layer, &part);
}
