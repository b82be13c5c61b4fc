/* depthwise_conv_2d.h: each channel of an NHWC map convolved alone. Python twin:
 * quantmcu_kit/ops/depthwise_conv_2d.py. */
#ifndef QMCU_KERNELS_DEPTHWISE_CONV_2D_H
#define QMCU_KERNELS_DEPTHWISE_CONV_2D_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qmcu_shape_t in, out;
    qmcu_size_t kernel, stride, dilation;
    qmcu_margin_t pad;
    int8_t in_zero;         /* zero-point of the input: the value of padding */
    int8_t weight_zero;     /* zero-point of the weights: 0 unless the model came from legacy uint8 */
    uint8_t weight_bits;    /* 8, 4 or 2 */
    uint8_t strip;          /* output columns that are computed together where there is scratch */
    const int8_t *weights;  /* [kernel.h][kernel.w][out.c]; a tap begins in a byte of its own */
    qmcu_requant_t requant; /* bias holds the correction for in_zero */
    int32_t multiplier;     /* out.c = in.c * multiplier; output channel c reads input channel c / multiplier */
} qmcu_depthwise_conv_2d_t;

/* in and out are whole maps that do not overlap.
 * scratch: NULL for input and weights of 8 bits, else (span.h * ((strip - 1) * stride.w + span.w) + taps) * block bytes,
 * where a window spans (kernel - 1) * dilation + 1 rows and columns, taps is kernel.h * kernel.w where the weights are
 * packed, else 0, and block is out.c and at most 32. */
void qmcu_depthwise_conv_2d(const qmcu_depthwise_conv_2d_t *layer, const int8_t *in, int8_t *out, int8_t *scratch);

/* The same for a part of the output. */
void qmcu_depthwise_conv_2d_part(const qmcu_depthwise_conv_2d_t *layer, const qmcu_part_t *part, int8_t *scratch);

#ifdef __cplusplus
}
#endif

#endif
