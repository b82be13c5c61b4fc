/* sum_s8_ref.c: portable sums of int8 values, of a run and channel by channel. */
#include "primitives.h"

int32_t qmcu_sum_s8__ref(const int8_t *x, int32_t k)
{
    int32_t sum = 0; /* |sum| <= k * 128 < 2^31 */
    for (int32_t i = 0; i < k; ++i) {
        sum += x[i];
    }
    return sum;
}

void qmcu_accumulate_s8__ref(const int8_t *x, int32_t count, int32_t *sum)
{
    for (int32_t c = 0; c < count; ++c) {
        sum[c] += x[c];
    }
}
