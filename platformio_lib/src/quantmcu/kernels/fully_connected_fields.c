/* fully_connected_fields.c: makes words of a row, segment by segment, then multiplies them with groups of eight outputs,
 * and with one of four where eight are too many.
 *
 * Per row: a step per unit of eight values. Per row and group: a step per two words of the column, a few operations per
 * segment, requantization of its outputs. */
#include "fully_connected_fields.h"

#include "../primitives/primitives.h"

/* Units [first, first + count) of a row of `bytes` bytes as words; their sum. */
static uint32_t words_of(const int8_t *row, int32_t bytes, int32_t bits, int32_t first, int32_t count, uint32_t *words)
{
    const int32_t whole = bytes / bits - first < count ? bytes / bits - first : count;
    const int8_t *x = row + first * bits;
    uint32_t sum = 0;
    if (whole > 0) {
        sum = bits == 4 ? qmcu_field_words_u4(x, whole, words) : qmcu_field_words_u2(x, whole, words);
    }
    if (whole < count) { /* what follows the row's last byte need not be there */
        int8_t end[4] = {0, 0, 0, 0};
        for (int32_t i = 0; i < bytes % bits; ++i) {
            end[i] = x[whole * bits + i];
        }
        words += whole * QMCU_FIELD_UNIT_WORDS;
        sum += bits == 4 ? qmcu_field_words_u4(end, 1, words) : qmcu_field_words_u2(end, 1, words);
    }
    return sum;
}

/* The column of a row (core/field_rows.h). */
static void prepare(const qmcu_fully_connected_fields_t *layer, const int8_t *row, uint32_t *column)
{
    const int32_t bits = layer->in_bits, units = (layer->in + QMCU_FIELD_UNIT - 1) / QMCU_FIELD_UNIT;
    uint32_t *head = column + QMCU_FIELD_HEAD;
    int32_t taken = 0;
    for (int32_t first = 0; first < units; first += layer->segment) {
        const int32_t left = units - first, count = left < layer->segment ? left : layer->segment;
        const uint32_t sum = words_of(row, qmcu_run_bytes(layer->in, bits), bits, first, count, head + 2);
        const int32_t start = layer->start - 8 * (int32_t)sum, low = start & ((1 << QMCU_FIELD_BITS) - 1);
        taken += low - start;
        head[0] = (uint32_t)low;
        head[1] = (uint32_t)(count * QMCU_FIELD_UNIT_WORDS);
        head += 2 + count * QMCU_FIELD_UNIT_WORDS;
    }
    head[1] = 0;
    column[0] = (uint32_t)layer->total * 0x10001u;
    column[1] = 0u - (uint32_t)taken;
}

void qmcu_fully_connected_fields(const qmcu_fully_connected_fields_t *layer, const int8_t *in, int8_t *out,
                                 int8_t *scratch)
{
    const int32_t groups = (layer->out + 3) >> 3, outputs = (layer->out + 3) & ~3;
    const int32_t is_rest = outputs > 8 * groups, all = 8 * groups + 4 * is_rest;
    const int32_t in_bytes = qmcu_run_bytes(layer->in, layer->in_bits);
    const int32_t out_bytes = qmcu_run_bytes(layer->out, layer->out_bits);
    const int is_direct = layer->out_bits == 8 && layer->low == -128 && layer->high == 127 && all == layer->out;
    const qmcu_field_rows_t rows = {layer->weights, layer->lanes, groups, is_rest};
    const qmcu_limits_t limits = {layer->out, layer->out_bits, layer->low, layer->high};
    int8_t *values = scratch;
    uint32_t *column = (uint32_t *)(void *)(scratch + all);
    for (int32_t row = 0; row < layer->rows; ++row, in += in_bytes, out += out_bytes) {
        prepare(layer, in, column);
        qmcu_field_rows_i4(column, &rows, is_direct ? out : values);
        if (!is_direct) {
            qmcu_store_limited(values, &limits, out);
        }
    }
}
