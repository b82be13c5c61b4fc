/* store_limited_ref.c: portable clamps and stores of saturated values. */
#include <string.h>

#include "primitives.h"

void qmcu_store_limited__ref(int8_t *values, const qmcu_limits_t *limits, int8_t *out)
{
    const int32_t low = limits->low, high = limits->high, count = limits->count;
    for (int32_t c = 0; c < count && (low > -128 || high < 127); ++c) {
        const int32_t raised = values[c] < low ? low : values[c];
        values[c] = (int8_t)(raised > high ? high : raised);
    }
#if QMCU_PACKED
    if (limits->bits < 8) {
        qmcu_pack(values, count, out, limits->bits, 0);
        return;
    }
#endif
    memcpy(out, values, (size_t)count);
}
