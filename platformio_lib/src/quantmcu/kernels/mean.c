/* mean.c: sums a block of inner elements at a time, then scales. */
#include "mean.h"

#include <string.h>

#include "../core/fixedpoint.h"
#include "../primitives/primitives.h"

void qmcu_mean(const qmcu_mean_t *layer, const int8_t *in, int8_t *out)
{
    int32_t sum[QMCU_CHANNEL_BLOCK];
    for (int32_t o = 0; o < layer->outer; ++o) {
        for (int32_t first = 0; first < layer->inner; first += QMCU_CHANNEL_BLOCK) {
            const int32_t left = layer->inner - first;
            const int32_t width = left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK;
            memset(sum, 0, sizeof sum);
            for (int32_t i = 0; i < layer->count; ++i) {
                qmcu_accumulate_s8(in + (ptrdiff_t)i * layer->inner + first, width, sum);
            }
            for (int32_t c = 0; c < width; ++c) {
                const int32_t y = qmcu_multiply_by_multiplier(sum[c] + layer->bias, layer->multiplier, layer->shift);
                out[first + c] = qmcu_clamp_s8(y + layer->zero_point, INT8_MIN, INT8_MAX);
            }
        }
        in += (ptrdiff_t)layer->count * layer->inner;
        out += layer->inner;
    }
}
