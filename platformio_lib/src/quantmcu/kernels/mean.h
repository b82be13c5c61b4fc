/* mean.h: mean over adjacent axes of a tensor. Python twin: quantmcu_kit/ops/mean.py. */
#ifndef QMCU_KERNELS_MEAN_H
#define QMCU_KERNELS_MEAN_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y = clamp(zero_point + round((sum + bias) * multiplier * 2^(shift - 31)), low, high). The multiplier divides by count;
 * low and high are the ends of the output's type. */
typedef struct {
    int32_t outer, count, inner;       /* in[outer][count][inner] -> out[outer][inner] */
    int32_t in_channels, out_channels; /* of a pixel */
    int32_t bias;                      /* -count * zero-point of the input */
    int32_t multiplier;
    int8_t shift, zero_point, low, high;
    uint8_t in_bits, out_bits;
} qmcu_mean_t;

/* in: outer*count*inner values; out: outer*inner values, no overlap with in. */
void qmcu_mean(const qmcu_mean_t *layer, const int8_t *in, int8_t *out);

/* The mean over all pixels of a map of inner channels (outer = 1), part by part: _add adds the pixels of part->region,
 * here of the input in part->in, to sum[inner], which begins with zeros; once every pixel was added, _end writes the
 * output, one pixel. */
void qmcu_mean_add(const qmcu_mean_t *layer, const qmcu_part_t *part, int32_t *sum);
void qmcu_mean_end(const qmcu_mean_t *layer, const int32_t *sum, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
