/* reshape.c: a block of values at a time, whatever pixels they belong to. */
#include "reshape.h"

#include "../primitives/values.h"

void qmcu_reshape(const qmcu_reshape_t *layer, const int8_t *in, int8_t *out)
{
    int8_t in_values[QMCU_CHANNEL_BLOCK], out_values[QMCU_CHANNEL_BLOCK];
    for (int32_t first = 0; first < layer->count; first += QMCU_CHANNEL_BLOCK) {
        const int32_t left = layer->count - first, n = left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK;
        const int8_t *x = qmcu_load_values(in, layer->in_channels, layer->in_bits, first, n, in_values);
        int8_t *to = qmcu_room(out, layer->out_bits, first, out_values);
        memcpy(to, x, (size_t)n);
        qmcu_look_up(layer->table, n, to);
        qmcu_store_values(to, n, out, layer->out_channels, layer->out_bits, first);
    }
}
