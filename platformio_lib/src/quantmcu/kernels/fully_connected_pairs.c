/* fully_connected_pairs.c: widens a row to 16-bit lanes, then multiplies it with groups of eight outputs, and of two or
 * four where eight are too many.
 *
 * Per row: widen `in` values; per row and group: a step per word of the column, requantization of its outputs. */
#include "fully_connected_pairs.h"

#include "../primitives/values.h"

void qmcu_fully_connected_pairs(const qmcu_fully_connected_pairs_t *layer, const int8_t *in, int8_t *out,
                                int8_t *scratch)
{
    const int32_t in_bits = QMCU_PACKED ? layer->in_bits : 8, out_bytes = qmcu_run_bytes(layer->out, layer->out_bits);
    const int32_t groups = (layer->out + 1) >> 3, left = layer->out - 8 * groups; /* seven outputs take a group */
    const int32_t each = layer->nest == 4 ? 4 : 2, rest = left > 0 ? (left + each - 1) / each : 0;
    const int32_t words = (layer->in + 3) >> 2 << 1, outputs = 8 * groups + each * rest;
    const int is_direct = layer->out_bits == 8 && layer->low == -128 && layer->high == 127 && outputs == layer->out;
    const qmcu_rows_t rows = {layer->weights, layer->lanes, words, groups, rest};
    const qmcu_limits_t limits = {layer->out, layer->out_bits, layer->low, layer->high};
    uint32_t *column = (uint32_t *)(void *)scratch;
    int8_t *values = scratch + 4 * (QMCU_ROW_HEAD + words);
    int8_t *buffer = values + outputs;
    for (int32_t row = 0; row < layer->rows; ++row, out += out_bytes) {
        const int8_t *x = qmcu_load_values(in, layer->channels, in_bits, row * layer->in, layer->in, buffer);
        int8_t *y = is_direct ? out : values;
        if (layer->nest == 4) {
            column[0] = qmcu_widen_row_summed(x, layer->in, column + QMCU_ROW_HEAD);
            qmcu_rows_s4(column, &rows, y);
        } else {
            qmcu_widen_row(x, layer->in, column + QMCU_ROW_HEAD);
            qmcu_rows_s8(column, &rows, y);
        }
        if (!is_direct) {
            qmcu_store_limited(values, &limits, out);
        }
    }
}
