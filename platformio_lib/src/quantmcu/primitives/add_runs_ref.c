/* add_runs_ref.c: portable sums of runs of any widths, unpacked block by block. */
#include "runs.h"

#define BLOCK (2 * QMCU_CHANNEL_BLOCK)

void qmcu_add_runs__ref(const int8_t *a, const int8_t *b, const qmcu_add_scaling_t *scaling,
                        const qmcu_operand_bits_t *bits, int32_t n, int8_t *out)
{
    int8_t a_values[BLOCK], b_values[BLOCK], out_values[BLOCK];
    for (int32_t first = 0; first < n; first += BLOCK) {
        const int32_t left = n - first, count = left < BLOCK ? left : BLOCK;
        const int8_t *x = qmcu_load(a, bits->a, first, count, a_values);
        const int8_t *y = qmcu_load(b, bits->b, first, count, b_values);
        int8_t *to = qmcu_room(out, bits->out, first, out_values);
        qmcu_add_s8(x, y, scaling, count, to);
        qmcu_store(to, count, out, bits->out, first);
    }
}
