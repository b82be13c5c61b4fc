/* fully_connected_few.c: two outputs at a time, word after word of values; what a row has beyond them behind it. */
#include "fully_connected_few.h"

#include <string.h>

#include "../primitives/runs.h"

#define WORD 4 /* bytes */

/* Adds the products of `words` words of a row to both sums. */
static void dot(const qmcu_fully_connected_few_t *layer, const int8_t *row, const int8_t *a, const int8_t *b,
                int32_t words, int32_t *sum)
{
    if (layer->in_bits == 4) {
        qmcu_dot_nibbles(row, a, b, words, sum);
    } else {
        qmcu_dot_nibbles_u2(row, a, b, words, sum);
    }
}

/* Sums of outputs [first, first + count) of a row. */
static void multiply(const qmcu_fully_connected_few_t *layer, const int8_t *row, int32_t first, int32_t count,
                     int32_t *sum)
{
    const int32_t is_4 = layer->in_bits == 4, together = is_4 ? 8 : 16; /* values of a word */
    const int32_t whole = layer->in >> (is_4 ? 3 : 4), rest = layer->in & (together - 1);
    const int32_t of_weights = is_4 ? WORD : 2 * WORD; /* bytes for a word of values */
    const int32_t step = (whole + (rest != 0)) * of_weights;
    for (int32_t i = 0; i < count; i += 2) {
        const int8_t *a = layer->weights + (first + i) * step, *b = i + 1 < count ? a + step : a;
        int32_t both[2] = {0, 0};
        dot(layer, row, a, b, whole, both);
        if (rest != 0) { /* values behind the row's last one do no harm: their weights are zero */
            int8_t end[WORD] = {0, 0, 0, 0};
            memcpy(end, row + whole * WORD, (size_t)qmcu_run_bytes(rest, layer->in_bits));
            dot(layer, end, a + whole * of_weights, b + whole * of_weights, 1, both);
        }
        sum[i] = both[0];
        if (i + 1 < count) {
            sum[i + 1] = both[1];
        }
    }
}

void qmcu_fully_connected_few(const qmcu_fully_connected_few_t *layer, const int8_t *in, int8_t *out)
{
    const int32_t in_bytes = qmcu_run_bytes(layer->in, layer->in_bits);
    const int32_t out_bytes = qmcu_run_bytes(layer->out, layer->out_bits);
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
