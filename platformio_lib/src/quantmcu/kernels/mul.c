/* mul.c: walks over rows, so that one value per channel may meet a map. */
#include "mul.h"

#include "../primitives/primitives.h"

void qmcu_mul(const qmcu_mul_t *layer, const int8_t *a, const int8_t *b, int8_t *out)
{
    for (int32_t row = 0; row < layer->rows; ++row) {
        qmcu_mul_s8(a, b, &layer->scaling, layer->columns, out);
        a += layer->a_stride;
        b += layer->b_stride;
        out += layer->columns;
    }
}

void qmcu_mul_part(const qmcu_mul_t *layer, const qmcu_part_t *part)
{
    const qmcu_region_t region = part->region;
    const qmcu_source_t a = qmcu_operand(&part->in, layer->rows > 1 && layer->a_stride == 0);
    const qmcu_source_t b = qmcu_operand(&part->other, layer->rows > 1 && layer->b_stride == 0);
    const int32_t channels = part->out.channels;
    const int contiguous = a.pixel_bytes == channels && b.pixel_bytes == channels && part->out.pixel_bytes == channels;
    const int32_t run = contiguous ? region.right - region.left : 1; /* pixels taken together */
    const int with_scalar = layer->rows > 1 && layer->columns == 1;
    qmcu_mul_t piece = *layer; /* a run */
    piece.rows = with_scalar ? channels : 1;
    piece.columns = with_scalar ? 1 : run * channels;
    for (int32_t y = region.top; y < region.bottom; ++y) {
        for (int32_t x = region.left; x < region.right; x += run) {
            qmcu_mul(&piece, qmcu_source_pixel(&a, y, x), qmcu_source_pixel(&b, y, x),
                     qmcu_target_pixel(&part->out, y, x));
        }
    }
}
