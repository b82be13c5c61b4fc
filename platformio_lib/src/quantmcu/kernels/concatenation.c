/* concatenation.c: a strided copy. */
#include "concatenation.h"

#include <string.h>

#include "../primitives/primitives.h"

static void copy(const qmcu_concatenation_t *layer, const int8_t *in, int32_t bytes, int8_t *out)
{
    if (layer->table == NULL) {
        memcpy(out, in, (size_t)bytes);
    } else {
        qmcu_lookup_s8(in, layer->table, bytes, out);
    }
}

void qmcu_concatenation(const qmcu_concatenation_t *layer, const int8_t *in, int8_t *out)
{
    out += layer->out_offset;
    for (int32_t row = 0; row < layer->rows; ++row) {
        copy(layer, in, layer->row_bytes, out);
        in += layer->row_bytes;
        out += layer->out_row_bytes;
    }
}

void qmcu_concatenation_part(const qmcu_concatenation_t *layer, const qmcu_part_t *part)
{
    const qmcu_region_t region = part->region;
    const int some_channels = layer->row_bytes < part->out.channels; /* else joined along rows or columns */
    const int32_t channels = some_channels ? layer->row_bytes : part->out.channels;
    const int32_t offset = some_channels ? layer->out_offset : 0;
    const int contiguous = part->in.pixel_bytes == channels && part->out.pixel_bytes == channels;
    const int32_t run = contiguous ? region.right - region.left : 1; /* pixels taken together */
    for (int32_t y = region.top; y < region.bottom; ++y) {
        for (int32_t x = region.left; x < region.right; x += run) {
            copy(layer, qmcu_source_pixel(&part->in, y, x), run * channels,
                 qmcu_target_pixel(&part->out, y, x) + offset);
        }
    }
}
