/* mean.h: mean over adjacent axes of an int8 tensor. Python twin: quantmcu_kit/ops/mean.py. */
#ifndef QMCU_KERNELS_MEAN_H
#define QMCU_KERNELS_MEAN_H

#include "../core/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y = zero_point + round((sum + bias) * multiplier * 2^(shift - 31)), limited to int8; count is part of the multiplier. */
typedef struct {
    int32_t outer, count, inner; /* in[outer][count][inner] -> out[outer][inner] */
    int32_t bias;                /* -count * zero-point of the input */
    int32_t multiplier;
    int8_t shift, zero_point;
} qmcu_mean_t;

/* in: outer*count*inner bytes; out: outer*inner bytes, no overlap with in. */
void qmcu_mean(const qmcu_mean_t *layer, const int8_t *in, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
