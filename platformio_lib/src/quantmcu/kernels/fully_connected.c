/* fully_connected.c: a block of dot products at a time. */
#include "fully_connected.h"

#include "../primitives/primitives.h"

static int32_t block_size(const qmcu_fully_connected_t *layer, int32_t first)
{
    const int32_t left = layer->out - first;
    return left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK;
}

/* Multiplies one row with all output channels. */
static void multiply(const qmcu_fully_connected_t *layer, const int8_t *in, int8_t *out)
{
    int32_t sum[QMCU_CHANNEL_BLOCK];
    const int32_t correction = layer->weight_zero != 0 ? layer->weight_zero * qmcu_sum_s8(in, layer->in) : 0;
    for (int32_t first = 0; first < layer->out; first += QMCU_CHANNEL_BLOCK) {
        const int32_t count = block_size(layer, first);
        qmcu_matvec_s8(in, layer->weights + (ptrdiff_t)first * layer->in, layer->in, layer->in, count, sum);
        for (int32_t c = 0; correction != 0 && c < count; ++c) {
            sum[c] -= correction;
        }
        qmcu_requant_once_s8(sum, &layer->requant, first, count, out + first);
    }
}

void qmcu_fully_connected(const qmcu_fully_connected_t *layer, const int8_t *in, int8_t *out)
{
    for (int32_t row = 0; row < layer->rows; ++row) {
        multiply(layer, in + (ptrdiff_t)row * layer->in, out + (ptrdiff_t)row * layer->out);
    }
}

/* Adds the products of `run` inputs from index `at` on, and their sum. */
static void add_run(const qmcu_fully_connected_t *layer, const int8_t *in, int32_t at, int32_t run, int32_t *sum)
{
    int32_t product[QMCU_CHANNEL_BLOCK];
    for (int32_t first = 0; first < layer->out; first += QMCU_CHANNEL_BLOCK) {
        const int32_t count = block_size(layer, first);
        qmcu_matvec_s8(in, layer->weights + (ptrdiff_t)first * layer->in + at, layer->in, run, count, product);
        for (int32_t c = 0; c < count; ++c) {
            sum[first + c] += product[c];
        }
    }
    if (layer->weight_zero != 0) {
        sum[layer->out] += qmcu_sum_s8(in, run);
    }
}

void qmcu_fully_connected_add(const qmcu_fully_connected_t *layer, const qmcu_part_t *part, int32_t width,
                              int32_t *sum)
{
    const qmcu_region_t region = part->region;
    const int32_t channels = part->in.pixel_bytes, pixels = region.right - region.left;
    for (int32_t y = region.top; y < region.bottom && pixels > 0; ++y) {
        add_run(layer, qmcu_source_pixel(&part->in, y, region.left), (y * width + region.left) * channels,
                pixels * channels, sum);
    }
}

void qmcu_fully_connected_end(const qmcu_fully_connected_t *layer, int32_t *sum, int8_t *out)
{
    const int32_t correction = layer->weight_zero * sum[layer->out]; /* 0 where weight_zero is */
    for (int32_t c = 0; correction != 0 && c < layer->out; ++c) {
        sum[c] -= correction;
    }
    qmcu_requant_once_s8(sum, &layer->requant, 0, layer->out, out);
}
