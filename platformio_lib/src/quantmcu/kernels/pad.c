/* pad.c: fills the output with the value, then copies the input into it row by row. */
#include "pad.h"

#include <string.h>

/* Fills columns [left, right) of output row y. */
static void fill_row(const qmcu_pad_t *layer, const qmcu_target_t *out, int32_t y, int32_t left, int32_t right)
{
    const int32_t channels = layer->out.c;
    const int32_t run = out->pixel_bytes == channels ? right - left : 1; /* pixels taken together */
    int8_t *to = qmcu_target_pixel(out, y, left);
    for (int32_t x = left; x < right; x += run) {
        memset(to, layer->value, (size_t)(run * channels));
        to += out->pixel_bytes;
    }
}

/* Copies the input's pixels to their places within the part's region. */
static void copy_input(const qmcu_pad_t *layer, const qmcu_part_t *part)
{
    const qmcu_shape_t in = layer->in, before = layer->before;
    const qmcu_region_t place = {before.h, before.h + in.h, before.w, before.w + in.w};
    const qmcu_region_t region = qmcu_common(part->region, place);
    const int32_t from_step = part->in.pixel_bytes, to_step = part->out.pixel_bytes;
    const int32_t run = from_step == in.c && to_step == in.c ? region.right - region.left : 1; /* pixels together */
    for (int32_t y = region.top; y < region.bottom; ++y) {
        const int8_t *from = qmcu_source_pixel(&part->in, y - before.h, region.left - before.w);
        int8_t *to = qmcu_target_pixel(&part->out, y, region.left) + before.c;
        for (int32_t x = region.left; x < region.right; x += run) {
            memcpy(to, from, (size_t)(run * in.c));
            from += from_step;
            to += to_step;
        }
    }
}

void qmcu_pad_part(const qmcu_pad_t *layer, const qmcu_part_t *part)
{
    for (int32_t y = part->region.top; y < part->region.bottom; ++y) {
        fill_row(layer, &part->out, y, part->region.left, part->region.right);
    }
    copy_input(layer, part);
}

void qmcu_pad(const qmcu_pad_t *layer, const int8_t *in, int8_t *out)
{
    const qmcu_part_t part = qmcu_whole(layer->in, in, layer->out, out);
    memset(out, layer->value, (size_t)layer->out.h * (size_t)part.out.row_bytes);
    copy_input(layer, &part);
}
