/* matvec_s8_ref.c: portable dot products of one vector with consecutive rows. */
#include "primitives.h"

void qmcu_matvec_s8__ref(const int8_t *x, const int8_t *rows, int32_t k, int32_t count, int32_t *sum)
{
    for (int32_t r = 0; r < count; ++r) {
        const int8_t *row = rows + (ptrdiff_t)r * k;
        int32_t acc = 0; /* |acc| <= k * 128 * 128 < 2^31 */
        for (int32_t i = 0; i < k; ++i) {
            acc += (int32_t)x[i] * row[i];
        }
        sum[r] = acc;
    }
}

int32_t qmcu_sum_s8__ref(const int8_t *x, int32_t k)
{
    int32_t sum = 0; /* |sum| <= k * 128 < 2^31 */
    for (int32_t i = 0; i < k; ++i) {
        sum += x[i];
    }
    return sum;
}
