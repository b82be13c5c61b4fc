/* depthwise_s8_ref.c: portable products of channels with their own weights. */
#include "primitives.h"

/* Three taps at a time, so that a sum is loaded and stored once for three products. */
static void taps3(const int8_t *const *x, const int8_t *w, int32_t step, int32_t count, int32_t *restrict sum)
{
    const int8_t *x0 = x[0], *x1 = x[1], *x2 = x[2];
    const int8_t *w0 = w, *w1 = w0 + step, *w2 = w1 + step;
    for (int32_t c = 0; c < count; ++c) {
        sum[c] += x0[c] * w0[c] + x1[c] * w1[c] + x2[c] * w2[c];
    }
}

void qmcu_depthwise_s8__ref(const int8_t *const *x, int32_t taps, const int8_t *w, int32_t step, int32_t count,
                            int32_t *restrict sum)
{
    int32_t t = 0;
    for (; t + 3 <= taps; t += 3) {
        taps3(x + t, w + (ptrdiff_t)t * step, step, count, sum);
    }
    for (; t < taps; ++t) {
        const int8_t *xt = x[t], *wt = w + (ptrdiff_t)t * step;
        for (int32_t c = 0; c < count; ++c) {
            sum[c] += xt[c] * wt[c];
        }
    }
}
