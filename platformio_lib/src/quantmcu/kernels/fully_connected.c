/* fully_connected.c: a block of dot products at a time; a packed input is unpacked block by block. */
#include "fully_connected.h"

#include <string.h>

#include "../primitives/runs.h"

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* product[c] = x[0..k) . weights of inputs [at, at + k), for output channels [first, first + count). */
static void multiply(const qmcu_fully_connected_t *layer, const int8_t *x, int32_t at, int32_t k, int32_t first,
                     int32_t count, int32_t *product)
{
    const int32_t step = qmcu_run_bytes(layer->in, layer->weight_bits);
    qmcu_matvec(x, layer->weights + (ptrdiff_t)first * step, step, layer->weight_bits, at, k, count, product);
}

/* Adds the products of inputs [at, at + k), and their sum. */
static void add_values(const qmcu_fully_connected_t *layer, const int8_t *x, int32_t at, int32_t k, int32_t *sum)
{
    int32_t product[QMCU_CHANNEL_BLOCK];
    for (int32_t first = 0; first < layer->out; first += QMCU_CHANNEL_BLOCK) {
        const int32_t count = smaller(layer->out - first, QMCU_CHANNEL_BLOCK);
        multiply(layer, x, at, k, first, count, product);
        for (int32_t c = 0; c < count; ++c) {
            sum[first + c] += product[c];
        }
    }
    if (layer->weight_zero != 0) {
        sum[layer->out] += qmcu_sum_s8(x, k);
    }
}

/* sum[c] = a row of a packed input . weights, for output channels [first, first + count); values[QMCU_CHANNEL_BLOCK] is
 * scratch. */
static void multiply_packed(const qmcu_fully_connected_t *layer, const int8_t *in, int32_t row, int32_t first,
                            int32_t count, int8_t *values, int32_t *sum)
{
    int32_t product[QMCU_CHANNEL_BLOCK];
    const int32_t pixel_bytes = qmcu_run_bytes(layer->channels, layer->in_bits);
    memset(sum, 0, (size_t)count * sizeof *sum);
    for (int32_t at = 0, k; at < layer->in; at += k) {
        const int32_t place = row * layer->in + at; /* among the map's values, < 2^31 */
        const int32_t channel = place % layer->channels;
        const int8_t *pixel = in + (ptrdiff_t)(place / layer->channels) * pixel_bytes;
        k = smaller(smaller(layer->in - at, layer->channels - channel), QMCU_CHANNEL_BLOCK);
        const int8_t *x = qmcu_load(pixel, layer->in_bits, channel, k, values);
        multiply(layer, x, at, k, first, count, product);
        for (int32_t c = 0; c < count; ++c) {
            sum[c] += product[c];
        }
    }
}

/* Multiplies one row with all output channels; weights with a zero-point have an input of 8 bits. */
static void multiply_row(const qmcu_fully_connected_t *layer, const int8_t *in, int32_t row, int8_t *out)
{
    int32_t sum[QMCU_CHANNEL_BLOCK];
    int8_t values[QMCU_CHANNEL_BLOCK];
    const int8_t *x = in + (ptrdiff_t)row * layer->in; /* of 8 bits */
    const int32_t correction = layer->weight_zero != 0 ? layer->weight_zero * qmcu_sum_s8(x, layer->in) : 0;
    for (int32_t first = 0; first < layer->out; first += QMCU_CHANNEL_BLOCK) {
        const int32_t count = smaller(layer->out - first, QMCU_CHANNEL_BLOCK);
        int8_t *y = qmcu_room(out, layer->out_bits, first, values);
        if (QMCU_PACKED && layer->in_bits < 8) {
            multiply_packed(layer, in, row, first, count, values, sum);
        } else {
            multiply(layer, x, 0, layer->in, first, count, sum);
        }
        for (int32_t c = 0; correction != 0 && c < count; ++c) {
            sum[c] -= correction;
        }
        qmcu_requant_once_s8(sum, &layer->requant, first, count, y);
        qmcu_store(y, count, out, layer->out_bits, first);
    }
}

void qmcu_fully_connected(const qmcu_fully_connected_t *layer, const int8_t *in, int8_t *out)
{
    const int32_t out_bytes = qmcu_run_bytes(layer->out, layer->out_bits);
    for (int32_t row = 0; row < layer->rows; ++row) {
        multiply_row(layer, in, row, out + (ptrdiff_t)row * out_bytes);
    }
}

/* Adds a pixel of a packed input, whose first channel is input `at`. */
static void add_packed_pixel(const qmcu_fully_connected_t *layer, const int8_t *pixel, int32_t at, int32_t channels,
                             int32_t *sum)
{
    int8_t values[QMCU_CHANNEL_BLOCK];
    for (int32_t c = 0; c < channels; c += QMCU_CHANNEL_BLOCK) {
        const int32_t k = smaller(channels - c, QMCU_CHANNEL_BLOCK);
        add_values(layer, qmcu_load(pixel, layer->in_bits, c, k, values), at + c, k, sum);
    }
}

void qmcu_fully_connected_add(const qmcu_fully_connected_t *layer, const qmcu_part_t *part, int32_t width,
                              int32_t *sum)
{
    const qmcu_region_t region = part->region;
    const int32_t channels = part->out.channels, pixels = region.right - region.left;
    for (int32_t y = region.top; y < region.bottom && pixels > 0; ++y) {
        const int8_t *pixel = qmcu_source_pixel(&part->in, y, region.left);
        const int32_t at = (y * width + region.left) * channels;
        if (!QMCU_PACKED || layer->in_bits == 8) {
            add_values(layer, pixel, at, pixels * channels, sum);
            continue;
        }
        for (int32_t x = 0; x < pixels; ++x, pixel += part->in.pixel_bytes) {
            add_packed_pixel(layer, pixel, at + x * channels, channels, sum);
        }
    }
}

void qmcu_fully_connected_end(const qmcu_fully_connected_t *layer, int32_t *sum, int8_t *out)
{
    int8_t values[QMCU_CHANNEL_BLOCK];
    const int32_t together = QMCU_PACKED && layer->out_bits < 8 ? QMCU_CHANNEL_BLOCK : layer->out;
    const int32_t correction = layer->weight_zero * sum[layer->out]; /* 0 where weight_zero is */
    for (int32_t c = 0; correction != 0 && c < layer->out; ++c) {
        sum[c] -= correction;
    }
    for (int32_t first = 0; first < layer->out; first += together) {
        const int32_t count = smaller(layer->out - first, together);
        int8_t *y = qmcu_room(out, layer->out_bits, first, values);
        qmcu_requant_once_s8(sum + first, &layer->requant, first, count, y);
        qmcu_store(y, count, out, layer->out_bits, first);
    }
}
