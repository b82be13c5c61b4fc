/* transpose.c: writes in order, reads with strides. */
#include "transpose.h"

#include "../primitives/values.h"

/* One output pixel where a map is packed, from value `at` of the input on. */
static void gather_packed(const qmcu_transpose_t *layer, const int8_t *in, int32_t at, int8_t *out)
{
    const int32_t channels = layer->out.c, bits = layer->out.bits;
    int8_t values[QMCU_CHANNEL_BLOCK];
    for (int32_t first = 0; first < channels; first += QMCU_CHANNEL_BLOCK) {
        const int32_t left = channels - first, count = left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK;
        int8_t *to = qmcu_room(out, bits, first, values);
        for (int32_t c = 0; c < count; ++c) {
            to[c] = *qmcu_load_values(in, layer->in_channels, layer->in_bits, at, 1, to + c);
            at += layer->stride.c;
        }
        qmcu_look_up(layer->table, count, to);
        qmcu_store(to, count, out, bits, first);
    }
}

void qmcu_transpose(const qmcu_transpose_t *layer, const int8_t *in, int8_t *out)
{
    const qmcu_shape_t size = layer->out;
    const qmcu_steps_t stride = layer->stride;
    const int is_packed = QMCU_PACKED && (layer->in_bits < 8 || size.bits < 8);
    for (int32_t y = 0; y < size.h; ++y) {
        for (int32_t x = 0; x < size.w; ++x) {
            const int8_t *from = in + ((ptrdiff_t)y * stride.h + (ptrdiff_t)x * stride.w);
            for (int32_t c = 0; c < size.c && !is_packed; ++c) {
                out[c] = from[(ptrdiff_t)c * stride.c];
            }
            if (is_packed) {
                gather_packed(layer, in, y * stride.h + x * stride.w, out);
            }
            out += qmcu_run_bytes(size.c, size.bits);
        }
    }
}
