/* widen_pair_ref.c: two windows as columns of 16-bit lanes, in portable C. */
#include "nested.h"
#include "primitives.h"

/* One run into every second word from `column` on; returns the word after it. */
static uint32_t *widen(const int8_t *x, int32_t values, uint32_t *column, int32_t *sum)
{
    int32_t total = 0, k = 0;
    for (; k + 4 <= values; k += 4, x += 4, column += 4) {
        column[0] = qmcu_lanes_of(x[0], x[2]);
        column[2] = qmcu_lanes_of(x[1], x[3]);
        total += x[0] + x[1] + x[2] + x[3];
    }
    if (values - k == 3) {
        column[0] = qmcu_lanes_of(x[0], x[2]);
        column[2] = qmcu_lanes_of(x[1], 0);
        total += x[0] + x[1] + x[2];
        column += 4;
    } else if (values - k > 0) {
        const int32_t second = values - k == 2 ? x[1] : 0;
        column[0] = qmcu_lanes_of(x[0], second);
        total += x[0] + second;
        column += 2;
    }
    *sum += total;
    return column;
}

void qmcu_widen_pair_summed__ref(const int8_t *a, const int8_t *b, const qmcu_runs_t *runs, uint32_t *columns,
                                 uint32_t *sums)
{
    for (int32_t row = 0;;) {
        int32_t sum_a = 0, sum_b = 0; /* < 2^16 * 128 in magnitude */
        uint32_t *end = widen(a, runs->values, columns, &sum_a);
        widen(b, runs->values, columns + 1, &sum_b);
        sums[0] = (uint32_t)sum_a;
        sums[1] = (uint32_t)sum_b;
        if (++row == runs->rows) {
            return;
        }
        a += runs->values + runs->skip_a;
        b += runs->values + runs->skip_b;
        columns = end + runs->skip_to / (int32_t)sizeof *end;
        sums += runs->sum_bytes / (int32_t)sizeof *sums;
    }
}

void qmcu_widen_pair__ref(const int8_t *a, const int8_t *b, const qmcu_runs_t *runs, uint32_t *columns)
{
    qmcu_runs_t alike = *runs;
    uint32_t sums[2];
    alike.sum_bytes = 0;
    qmcu_widen_pair_summed__ref(a, b, &alike, columns, sums);
}
