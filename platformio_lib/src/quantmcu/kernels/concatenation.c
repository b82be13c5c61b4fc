/* concatenation.c: a strided copy. */
#include "concatenation.h"

#include "../primitives/values.h"

static int is_packed(const qmcu_concatenation_t *layer)
{
    return QMCU_PACKED && (layer->in_bits < 8 || layer->out_bits < 8);
}

/* Whole bytes. */
static void copy(const qmcu_concatenation_t *layer, const int8_t *in, int32_t bytes, int8_t *out)
{
    if (layer->table == NULL) {
        memcpy(out, in, (size_t)bytes);
    } else {
        qmcu_lookup_s8(in, layer->table, bytes, out);
    }
}

/* A run of values, to value `place` of an output pixel, where a map is packed. */
static void carry(const qmcu_concatenation_t *layer, const int8_t *in, int32_t values, int8_t *out, int32_t place)
{
    const qmcu_carry_t rule = {layer->table, layer->in_bits, layer->out_bits};
    qmcu_move(in, 0, out, place, values, &rule);
}

/* A row, pixel by pixel, where a map is packed. */
static void carry_row(const qmcu_concatenation_t *layer, const int8_t *in, int8_t *out)
{
    const int32_t in_bytes = qmcu_run_bytes(layer->channels, layer->in_bits);
    const int32_t out_bytes = qmcu_run_bytes(layer->out_channels, layer->out_bits);
    const int32_t place = layer->out_offset % layer->out_channels;
    out += layer->out_offset / layer->out_channels * out_bytes;
    for (int32_t left = layer->row; left > 0; left -= layer->channels) {
        carry(layer, in, layer->channels, out, place);
        in += in_bytes;
        out += out_bytes;
    }
}

void qmcu_concatenation(const qmcu_concatenation_t *layer, const int8_t *in, int8_t *out)
{
    if (is_packed(layer)) {
        const int32_t in_bytes = layer->row / layer->channels * qmcu_run_bytes(layer->channels, layer->in_bits);
        const int32_t pixel_bytes = qmcu_run_bytes(layer->out_channels, layer->out_bits);
        const int32_t out_bytes = layer->out_row / layer->out_channels * pixel_bytes;
        for (int32_t row = 0; row < layer->rows; ++row) {
            carry_row(layer, in + (ptrdiff_t)row * in_bytes, out + (ptrdiff_t)row * out_bytes);
        }
        return;
    }
    out += layer->out_offset;
    for (int32_t row = 0; row < layer->rows; ++row) {
        copy(layer, in, layer->row, out);
        in += layer->row;
        out += layer->out_row;
    }
}

void qmcu_concatenation_part(const qmcu_concatenation_t *layer, const qmcu_part_t *part)
{
    const qmcu_region_t region = part->region;
    const int32_t channels = layer->channels;
    const int some_channels = channels < part->out.channels; /* else joined along rows or columns */
    const int32_t offset = some_channels ? layer->out_offset : 0;
    const int contiguous = !some_channels && qmcu_is_dense(part->in.pixel_bytes, channels, layer->in_bits) &&
                           qmcu_is_dense(part->out.pixel_bytes, channels, layer->out_bits);
    const int32_t run = contiguous ? region.right - region.left : 1; /* pixels taken together */
    for (int32_t y = region.top; y < region.bottom; ++y) {
        for (int32_t x = region.left; x < region.right; x += run) {
            const int8_t *from = qmcu_source_pixel(&part->in, y, x);
            int8_t *to = qmcu_target_pixel(&part->out, y, x);
            if (is_packed(layer)) {
                carry(layer, from, run * channels, to, offset);
            } else {
                copy(layer, from, run * channels, to + offset);
            }
        }
    }
}
