/* lookup.c: one table for the whole map. */
#include "lookup.h"

#include "../primitives/values.h"

/* A run of values. */
static void look_up(const qmcu_lookup_t *layer, const int8_t *in, int32_t values, int8_t *out)
{
    const qmcu_carry_t rule = {layer->table, layer->in_bits, layer->out_bits};
    qmcu_tabulate(in, values, &rule, out);
}

void qmcu_lookup(const qmcu_lookup_t *layer, const int8_t *in, int8_t *out)
{
    const int32_t in_bytes = qmcu_run_bytes(layer->channels, layer->in_bits);
    const int32_t out_bytes = qmcu_run_bytes(layer->channels, layer->out_bits);
    const int is_dense = qmcu_is_dense(in_bytes, layer->channels, layer->in_bits) &&
                         qmcu_is_dense(out_bytes, layer->channels, layer->out_bits);
    const int32_t run = is_dense ? layer->count : layer->channels;
    for (int32_t left = layer->count; left > 0; left -= run) {
        look_up(layer, in, run, out);
        in += in_bytes;
        out += out_bytes;
    }
}

void qmcu_lookup_part(const qmcu_lookup_t *layer, const qmcu_part_t *part)
{
    const qmcu_region_t region = part->region;
    const int32_t channels = part->out.channels;
    const int contiguous = qmcu_is_dense(part->in.pixel_bytes, channels, layer->in_bits) &&
                           qmcu_is_dense(part->out.pixel_bytes, channels, layer->out_bits);
    const int32_t run = contiguous ? region.right - region.left : 1; /* pixels taken together */
    for (int32_t y = region.top; y < region.bottom; ++y) {
        for (int32_t x = region.left; x < region.right; x += run) {
            look_up(layer, qmcu_source_pixel(&part->in, y, x), run * channels, qmcu_target_pixel(&part->out, y, x));
        }
    }
}
