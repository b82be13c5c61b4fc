/* lookup.c: one table for the whole map. */
#include "lookup.h"

#include "../primitives/primitives.h"

void qmcu_lookup(const qmcu_lookup_t *layer, const int8_t *in, int8_t *out)
{
    qmcu_lookup_s8(in, layer->table, layer->count, out);
}

void qmcu_lookup_part(const qmcu_lookup_t *layer, const qmcu_part_t *part)
{
    const qmcu_region_t region = part->region;
    const int32_t channels = part->out.channels;
    const int contiguous = part->in.pixel_bytes == channels && part->out.pixel_bytes == channels;
    const int32_t run = contiguous ? region.right - region.left : 1; /* pixels taken together */
    for (int32_t y = region.top; y < region.bottom; ++y) {
        for (int32_t x = region.left; x < region.right; x += run) {
            qmcu_lookup_s8(qmcu_source_pixel(&part->in, y, x), layer->table, run * channels,
                           qmcu_target_pixel(&part->out, y, x));
        }
    }
}
