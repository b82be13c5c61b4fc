/* pad.c: fills the output with the value, then copies the input into it row by row. */
#include "pad.h"

#include "../primitives/values.h"

/* A byte of padding. */
static int fill_byte(const qmcu_pad_t *layer)
{
    const int32_t bits = QMCU_PACKED ? layer->out.bits : 8;
    return layer->value * (0xFF / ((1 << bits) - 1)); /* the value again and again */
}

/* Fills columns [left, right) of output row y. */
static void fill_row(const qmcu_pad_t *layer, const qmcu_target_t *out, int32_t y, int32_t left, int32_t right)
{
    const int32_t pixel_bytes = qmcu_run_bytes(layer->out.c, layer->out.bits);
    const int32_t run = out->pixel_bytes == pixel_bytes ? right - left : 1; /* pixels taken together */
    int8_t *to = qmcu_target_pixel(out, y, left);
    for (int32_t x = left; x < right; x += run) {
        memset(to, fill_byte(layer), (size_t)(run * pixel_bytes));
        to += out->pixel_bytes;
    }
}

/* Fills again what is left of the byte of a pixel in which the input's channels end. */
static void fill_byte_after(const qmcu_pad_t *layer, int8_t *pixel)
{
    const int32_t bits = layer->out.bits, end = layer->before.c + layer->in.c;
    const int32_t left = layer->out.c - end, others = -end & (8 / bits - 1);
    int8_t values[8 / 2];
    memset(values, layer->value, sizeof values);
    qmcu_store(values, others < left ? others : left, pixel, bits, end);
}

/* Copies the input's pixels to their places within the part's region. */
static void copy_input(const qmcu_pad_t *layer, const qmcu_part_t *part)
{
    const qmcu_shape_t in = layer->in;
    const qmcu_steps_t before = layer->before;
    const qmcu_region_t place = {before.h, before.h + in.h, before.w, before.w + in.w};
    const qmcu_region_t region = qmcu_common(part->region, place);
    const qmcu_carry_t rule = {layer->table, in.bits, layer->out.bits};
    const int32_t from_step = part->in.pixel_bytes, to_step = part->out.pixel_bytes;
    const int contiguous = qmcu_is_dense(from_step, in.c, in.bits) && qmcu_is_dense(to_step, in.c, layer->out.bits);
    const int32_t run = contiguous ? region.right - region.left : 1; /* pixels taken together */
    for (int32_t y = region.top; y < region.bottom; ++y) {
        const int8_t *from = qmcu_source_pixel(&part->in, y - before.h, region.left - before.w);
        int8_t *to = qmcu_target_pixel(&part->out, y, region.left);
        for (int32_t x = region.left; x < region.right; x += run) {
            qmcu_move(from, 0, to, before.c, run * in.c, &rule);
            if (QMCU_PACKED && layer->out.bits < 8 && !contiguous) {
                fill_byte_after(layer, to);
            }
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
    memset(out, fill_byte(layer), (size_t)layer->out.h * (size_t)part.out.row_bytes);
    copy_input(layer, &part);
}
