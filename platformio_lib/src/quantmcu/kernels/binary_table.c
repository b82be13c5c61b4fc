/* binary_table.c: entries for all pixels at once where every map has as many values in the bytes of a pixel, those that
 * are nobody's included; else pixel after pixel. */
#include "binary_table.h"

#include "../primitives/primitives.h"

/* Values, or places for some, in the bytes of a pixel; 0 where it is only part of a wider one. */
static int32_t places(int32_t pixel_bytes, int32_t channels, int32_t bits)
{
    return pixel_bytes == qmcu_run_bytes(channels, bits) ? pixel_bytes * 8 / bits : 0;
}

void qmcu_binary_table_part(const qmcu_binary_table_t *layer, const qmcu_part_t *part)
{
    const qmcu_region_t region = part->region;
    const int32_t channels = layer->channels, together = layer->together;
    const int32_t adjoining = places(part->out.pixel_bytes, channels, layer->out_bits);
    const int is_alike = adjoining != 0 && adjoining == places(part->in.pixel_bytes, channels, layer->a_bits) &&
                         adjoining == places(part->other.pixel_bytes, channels, layer->b_bits);
    const int32_t run = is_alike ? region.right - region.left : 1; /* pixels taken together */
    const int32_t values = is_alike ? run * adjoining : channels;
    for (int32_t y = region.top; y < region.bottom; ++y) {
        for (int32_t x = region.left; x < region.right; x += run) {
            qmcu_lookup_pairs(qmcu_source_pixel(&part->in, y, x), qmcu_source_pixel(&part->other, y, x), &layer->rule,
                              (values + together - 1) / together, qmcu_target_pixel(&part->out, y, x));
        }
    }
}

void qmcu_binary_table(const qmcu_binary_table_t *layer, const int8_t *a, const int8_t *b, int8_t *out)
{
    const qmcu_shape_t a_shape = {1, layer->pixels, layer->channels, layer->a_bits};
    const qmcu_shape_t b_shape = {1, layer->pixels, layer->channels, layer->b_bits};
    const qmcu_shape_t out_shape = {1, layer->pixels, layer->channels, layer->out_bits};
    qmcu_part_t part = qmcu_whole(a_shape, a, out_shape, out);
    part.other = qmcu_whole_source(b_shape, b);
    qmcu_binary_table_part(layer, &part);
}
