/* conv_first.h: CONV_2D with windows of three by three pixels of three channels, as networks on pictures begin.
 * Python twin: quantmcu_kit/ops/variants/conv_first.py, which arranges the constants and checks their bounds. */
#ifndef QMCU_KERNELS_CONV_FIRST_H
#define QMCU_KERNELS_CONV_FIRST_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qmcu_shape_t in, out;
    qmcu_size_t stride;
    qmcu_margin_t pad;
    int8_t in_zero;         /* zero-point of the input: the value of padding */
    int8_t low, high;       /* limits of the output, after it was saturated to int8 */
    uint8_t is_rectified;   /* 1: low is the zero-point of the output, or above it */
    const int32_t *weights; /* nested by 8 bits, in groups of 4 output channels, see core/pairs.h */
    const int32_t *lanes;   /* of the same groups, see core/requant_lane.h; NULL: weights are as lines */
} qmcu_conv_first_t;

/* in and out are whole maps that do not overlap. scratch is aligned to 4. */
void qmcu_conv_first(const qmcu_conv_first_t *layer, const int8_t *in, int8_t *out, int8_t *scratch);

/* The same for a part. */
void qmcu_conv_first_part(const qmcu_conv_first_t *layer, const qmcu_part_t *part, int8_t *scratch);

#ifdef __cplusplus
}
#endif

#endif
