/* fully_connected.c: a block of dot products at a time. */
#include "fully_connected.h"

#include "../primitives/primitives.h"

/* Multiplies one row with all output channels. */
static void multiply(const qmcu_fully_connected_t *layer, const int8_t *in, int8_t *out)
{
    int32_t sum[QMCU_CHANNEL_BLOCK];
    const int32_t correction = layer->weight_zero != 0 ? layer->weight_zero * qmcu_sum_s8(in, layer->in) : 0;
    for (int32_t first = 0; first < layer->out; first += QMCU_CHANNEL_BLOCK) {
        const int32_t left = layer->out - first;
        const int32_t count = left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK;
        qmcu_matvec_s8(in, layer->weights + (ptrdiff_t)first * layer->in, layer->in, count, sum);
        for (int32_t c = 0; correction != 0 && c < count; ++c) {
            sum[c] -= correction;
        }
        qmcu_requant_once_s8(sum, &layer->requant, first, count, out + first);
    }
}

void qmcu_fully_connected(const qmcu_fully_connected_t *layer, const int8_t *in, int8_t *out)
{
    for (int32_t row = 0; row < layer->rows; ++row) {
        multiply(layer, in + (ptrdiff_t)row * layer->in, out + (ptrdiff_t)row * layer->out);
    }
}
