/* lookup_s8_ref.c: portable table lookup. */
#include "primitives.h"

void qmcu_lookup_s8__ref(const int8_t *in, const int8_t *table, int32_t n, int8_t *out)
{
    for (int32_t i = 0; i < n; ++i) {
        out[i] = table[(uint8_t)in[i]];
    }
}
