/* matvec_s8_ref.c: portable dot products of one vector with rows that lie a step apart. */
#include "primitives.h"

/* Four rows at a time, so that each value of x is loaded once for four products. */
static void dot4(const int8_t *x, const int8_t *rows, int32_t step, int32_t k, int32_t *sum)
{
    const int8_t *r0 = rows, *r1 = r0 + step, *r2 = r1 + step, *r3 = r2 + step;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0; /* |s| <= k * 128 * 128 < 2^31 */
    for (int32_t i = 0; i < k; ++i) {
        const int32_t v = x[i];
        s0 += v * r0[i];
        s1 += v * r1[i];
        s2 += v * r2[i];
        s3 += v * r3[i];
    }
    sum[0] = s0;
    sum[1] = s1;
    sum[2] = s2;
    sum[3] = s3;
}

void qmcu_matvec_s8__ref(const int8_t *x, const int8_t *rows, int32_t step, int32_t k, int32_t count,
                         int32_t *sum)
{
    int32_t r = 0;
    for (; r + 4 <= count; r += 4) {
        dot4(x, rows + (ptrdiff_t)r * step, step, k, sum + r);
    }
    for (; r < count; ++r) {
        const int8_t *row = rows + (ptrdiff_t)r * step;
        int32_t acc = 0;
        for (int32_t i = 0; i < k; ++i) {
            acc += (int32_t)x[i] * row[i];
        }
        sum[r] = acc;
    }
}
