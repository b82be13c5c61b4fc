/* fully_connected_few.c: two outputs at a time, eight values after eight; what a row has beyond them behind it. */
#include "fully_connected_few.h"

#include <string.h>

#include "../primitives/runs.h"

#define TOGETHER 8 /* values of a word */
#define WORD 4     /* bytes */

/* Sums of outputs [first, first + count) of a row. */
static void multiply(const qmcu_fully_connected_few_t *layer, const int8_t *row, int32_t first, int32_t count,
                     int32_t *sum)
{
    const int32_t whole = layer->in / TOGETHER, rest = layer->in % TOGETHER;
    const int32_t step = (whole + (rest != 0)) * WORD; /* bytes of a row of weights */
    for (int32_t i = 0; i < count; i += 2) {
        const int8_t *a = layer->weights + (first + i) * step, *b = i + 1 < count ? a + step : a;
        int32_t both[2] = {0, 0};
        qmcu_dot_nibbles(row, a, b, whole, both);
        if (rest != 0) { /* values behind the row's last one do no harm: their weights are zero */
            int8_t end[WORD] = {0, 0, 0, 0};
            memcpy(end, row + whole * WORD, (size_t)qmcu_run_bytes(rest, 4));
            qmcu_dot_nibbles(end, a + whole * WORD, b + whole * WORD, 1, both);
        }
        sum[i] = both[0];
        if (i + 1 < count) {
            sum[i + 1] = both[1];
        }
    }
}

void qmcu_fully_connected_few(const qmcu_fully_connected_few_t *layer, const int8_t *in, int8_t *out)
{
    const int32_t in_bytes = qmcu_run_bytes(layer->in, 4), out_bytes = qmcu_run_bytes(layer->out, layer->out_bits);
    int32_t sum[QMCU_CHANNEL_BLOCK];
    int8_t values[QMCU_CHANNEL_BLOCK];
    for (int32_t row = 0; row < layer->rows; ++row, in += in_bytes, out += out_bytes) {
        for (int32_t first = 0; first < layer->out; first += QMCU_CHANNEL_BLOCK) {
            const int32_t left = layer->out - first, count = left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK;
            int8_t *to = qmcu_room(out, layer->out_bits, first, values);
            multiply(layer, in, first, count, sum);
            qmcu_requant_once_s8(sum, &layer->requant, first, count, to);
            qmcu_store(to, count, out, layer->out_bits, first);
        }
    }
}
