/* add.c: walks over rows, so that one value per channel may meet a map; over pixels where a map is packed. */
#include "add.h"

#include "../primitives/values.h"

static int is_packed(const qmcu_add_t *layer)
{
    return QMCU_PACKED && (layer->a_bits < 8 || layer->b_bits < 8 || layer->out_bits < 8);
}

/* A run of `values` values where a map is packed. */
static void add_packed(const qmcu_add_t *layer, const int8_t *a, const int8_t *b, int32_t values, int8_t *out)
{
    const int with_scalar = layer->rows > 1 && layer->columns == 1;
    int8_t a_values[QMCU_CHANNEL_BLOCK], b_values[QMCU_CHANNEL_BLOCK], out_values[QMCU_CHANNEL_BLOCK];
    for (int32_t first = 0; first < values; first += QMCU_CHANNEL_BLOCK) {
        const int32_t left = values - first;
        const int32_t n = left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK;
        const int a_is_one = with_scalar && layer->a_stride == 0, b_is_one = with_scalar && layer->b_stride == 0;
        const int8_t *x = qmcu_load_operand(a, layer->a_bits, a_is_one, first, n, a_values);
        const int8_t *y = qmcu_load_operand(b, layer->b_bits, b_is_one, first, n, b_values);
        int8_t *to = qmcu_room(out, layer->out_bits, first, out_values);
        qmcu_add_s8(x, y, &layer->scaling, n, to);
        qmcu_store(to, n, out, layer->out_bits, first);
    }
}

/* Pixel after pixel where a map is packed, or all together where no bits are between them. */
static void add_pixels(const qmcu_add_t *layer, const int8_t *a, const int8_t *b, int8_t *out)
{
    const int32_t channels = layer->channels, values = layer->rows * layer->columns;
    const int32_t out_step = qmcu_run_bytes(channels, layer->out_bits);
    const int32_t a_step = layer->rows > 1 && layer->a_stride == 0 ? 0 : qmcu_run_bytes(channels, layer->a_bits);
    const int32_t b_step = layer->rows > 1 && layer->b_stride == 0 ? 0 : qmcu_run_bytes(channels, layer->b_bits);
    const int contiguous = qmcu_is_dense(a_step, channels, layer->a_bits) &&
                           qmcu_is_dense(b_step, channels, layer->b_bits) &&
                           qmcu_is_dense(out_step, channels, layer->out_bits);
    const int32_t run = contiguous ? values : channels;
    for (int32_t left = values; left > 0; left -= run) {
        add_packed(layer, a, b, run, out);
        a += a_step;
        b += b_step;
        out += out_step;
    }
}

void qmcu_add(const qmcu_add_t *layer, const int8_t *a, const int8_t *b, int8_t *out)
{
    if (is_packed(layer)) {
        add_pixels(layer, a, b, out);
        return;
    }
    for (int32_t row = 0; row < layer->rows; ++row) {
        qmcu_add_s8(a, b, &layer->scaling, layer->columns, out);
        a += layer->a_stride;
        b += layer->b_stride;
        out += layer->columns;
    }
}

void qmcu_add_part(const qmcu_add_t *layer, const qmcu_part_t *part)
{
    const qmcu_region_t region = part->region;
    const qmcu_source_t a = qmcu_operand(&part->in, layer->rows > 1 && layer->a_stride == 0);
    const qmcu_source_t b = qmcu_operand(&part->other, layer->rows > 1 && layer->b_stride == 0);
    const int32_t channels = part->out.channels;
    const int contiguous = qmcu_is_dense(a.pixel_bytes, channels, layer->a_bits) &&
                           qmcu_is_dense(b.pixel_bytes, channels, layer->b_bits) &&
                           qmcu_is_dense(part->out.pixel_bytes, channels, layer->out_bits);
    const int32_t run = contiguous ? region.right - region.left : 1; /* pixels taken together */
    const int with_scalar = layer->rows > 1 && layer->columns == 1;
    qmcu_add_t piece = *layer; /* a run */
    piece.rows = with_scalar ? channels : 1;
    piece.columns = with_scalar ? 1 : run * channels;
    for (int32_t y = region.top; y < region.bottom; ++y) {
        for (int32_t x = region.left; x < region.right; x += run) {
            const int8_t *from_a = qmcu_source_pixel(&a, y, x), *from_b = qmcu_source_pixel(&b, y, x);
            int8_t *to = qmcu_target_pixel(&part->out, y, x);
            if (is_packed(layer)) {
                add_packed(layer, from_a, from_b, run * channels, to);
            } else {
                qmcu_add(&piece, from_a, from_b, to);
            }
        }
    }
}
