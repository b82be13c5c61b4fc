/* requant_s8_ref.c: portable requantization of a run of channels. */
#include "../core/fixedpoint.h"
#include "primitives.h"

void qmcu_requant_s8__ref(const int32_t *sum, const qmcu_requant_t *requant, int32_t first, int32_t count, int8_t *out)
{
    for (int32_t c = 0; c < count; ++c) {
        const int32_t i = requant->per_channel ? first + c : 0;
        const int32_t y = qmcu_multiply_by_multiplier(sum[c] + requant->bias[first + c], requant->multiplier[i],
                                                      requant->shift[i]);
        out[c] = qmcu_clamp_s8(y + requant->zero_point, requant->low, requant->high);
    }
}
