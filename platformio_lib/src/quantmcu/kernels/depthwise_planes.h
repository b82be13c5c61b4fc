/* depthwise_planes.h: each channel of an NHWC map convolved alone, its rows widened to 16-bit lanes once. Computes what
 * depthwise_conv_2d.h does without dilation and multiplier; constants are arranged by
 * quantmcu_kit/ops/variants/depthwise_planes.py. */
#ifndef QMCU_KERNELS_DEPTHWISE_PLANES_H
#define QMCU_KERNELS_DEPTHWISE_PLANES_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qmcu_shape_t in, out; /* at least four bytes of values in a pixel of 8 bits, two in one of 4 bits */
    qmcu_size_t kernel;
    qmcu_size_t stride; /* no larger than the kernel */
    qmcu_margin_t pad;
    int8_t in_zero;       /* zero-point of the input: the value of padding */
    int8_t low, high;     /* clamp of the output */
    uint8_t weight_bits;  /* 8, 4 or 2 */
    uint8_t form;         /* QMCU_LINE or QMCU_TWICE of core/planes.h */
    uint8_t strip;        /* output columns that are computed together */
    const int8_t *weights; /* [c][kernel.h * kernel.w]; a channel begins in a byte of its own */
    const int32_t *lanes; /* [c][4]: QMCU_TWICE: qmcu_lane_t; QMCU_LINE: bias, multiplier, 0, factor of the weights */
} qmcu_depthwise_planes_t;

/* in and out are whole maps that do not overlap.
 * scratch, of words: with pairs = kernel.h / 2 + 1 and columns = (strip - 1) * stride.w + kernel.w,
 * 32 * (4 + pairs * kernel.w) + 16 * (held * columns + 15) + 4 * rows * strip bytes, where held = 4 and rows = 6 / stride
 * if kernel.w = 3, pairs = 2 and both strides are 1 or both 2, else held = pairs and rows = 1. */
void qmcu_depthwise_planes(const qmcu_depthwise_planes_t *layer, const int8_t *in, int8_t *out, int8_t *scratch);

/* The same for a part of the output. */
void qmcu_depthwise_planes_part(const qmcu_depthwise_planes_t *layer, const qmcu_part_t *part, int8_t *scratch);

#ifdef __cplusplus
}
#endif

#endif
