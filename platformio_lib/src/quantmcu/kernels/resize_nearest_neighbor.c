/* resize_nearest_neighbor.c: pixel by pixel; an output row that repeats the one before is copied whole. */
#include "resize_nearest_neighbor.h"

#include "../primitives/values.h"

/* Columns [left, right) of an output row, each from its column of the input row that begins at in->left. */
static void copy_pixels(const qmcu_resize_nearest_neighbor_t *layer, const qmcu_part_t *part, const int8_t *row,
                        int8_t *out)
{
    const int32_t left = part->in.left, pixel_bytes = part->in.pixel_bytes;
    const qmcu_carry_t rule = {layer->table, layer->in.bits, layer->out.bits};
    for (int32_t x = part->region.left; x < part->region.right; ++x) {
        qmcu_move(row + (layer->columns[x] - left) * pixel_bytes, 0, out, 0, layer->in.c, &rule);
        out += part->out.pixel_bytes;
    }
}

void qmcu_resize_nearest_neighbor_part(const qmcu_resize_nearest_neighbor_t *layer, const qmcu_part_t *part)
{
    const qmcu_region_t region = part->region;
    const int32_t pixel_bytes = qmcu_run_bytes(layer->out.c, layer->out.bits);
    const int contiguous = part->out.pixel_bytes == pixel_bytes;
    const int32_t row_bytes = (region.right - region.left) * pixel_bytes;
    for (int32_t y = region.top; y < region.bottom && row_bytes > 0; ++y) {
        int8_t *out = qmcu_target_pixel(&part->out, y, region.left);
        if (contiguous && y > region.top && layer->rows[y] == layer->rows[y - 1]) {
            memcpy(out, qmcu_target_pixel(&part->out, y - 1, region.left), (size_t)row_bytes);
        } else {
            copy_pixels(layer, part, qmcu_source_row(&part->in, layer->rows[y]), out);
        }
    }
}

void qmcu_resize_nearest_neighbor(const qmcu_resize_nearest_neighbor_t *layer, const int8_t *in, int8_t *out)
{
    const qmcu_part_t part = qmcu_whole(layer->in, in, layer->out, out);
    qmcu_resize_nearest_neighbor_part(layer, &part);
}
