/* requant_s8_ref.c: portable requantization of a run of channels, with two roundings and with one. */
#include "../core/fixedpoint.h"
#include "primitives.h"

void qmcu_requant_s8__ref(const int32_t *sum, const qmcu_requant_t *requant, int32_t first, int32_t count,
                             int8_t *restrict out)
{
    const int32_t step = requant->per_channel;
    for (int32_t c = 0; c < count; ++c) {
        const int32_t i = (first + c) * step;
        const int32_t y = qmcu_multiply_by_multiplier(sum[c] + requant->bias[first + c], requant->multiplier[i],
                                                      requant->shift[i]);
        out[c] = qmcu_clamp_s8(y + requant->zero_point, requant->low, requant->high);
    }
}

void qmcu_requant_once_s8__ref(const int32_t *sum, const qmcu_requant_t *requant, int32_t first, int32_t count,
                               int8_t *restrict out)
{
    const int32_t step = requant->per_channel;
    for (int32_t c = 0; c < count; ++c) {
        const int32_t i = (first + c) * step;
        const int32_t y = qmcu_multiply_rounding_once(sum[c] + requant->bias[first + c], requant->multiplier[i],
                                                      requant->shift[i]);
        out[c] = qmcu_clamp_s8(y + requant->zero_point, requant->low, requant->high);
    }
}
