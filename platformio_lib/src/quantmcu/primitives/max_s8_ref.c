/* max_s8_ref.c: portable maximum, channel by channel. */
#include "primitives.h"

void qmcu_max_s8__ref(const int8_t *x, int32_t count, int8_t *out)
{
    for (int32_t c = 0; c < count; ++c) {
        out[c] = out[c] < x[c] ? x[c] : out[c];
    }
}
