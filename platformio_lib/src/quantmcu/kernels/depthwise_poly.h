/* depthwise_poly.h: each channel of a map of 4 or 2 bits convolved alone with 3x3 windows at stride 1, a row of several
 * outputs by one product. Computes what depthwise_conv_2d.h does; constants are arranged by
 * quantmcu_kit/ops/variants/depthwise_poly.py. */
#ifndef QMCU_KERNELS_DEPTHWISE_POLY_H
#define QMCU_KERNELS_DEPTHWISE_POLY_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qmcu_shape_t in, out; /* a pixel of the input has at least four bytes at 4 bits, two at 2 bits */
    qmcu_margin_t pad;
    int8_t in_zero;        /* zero-point of the input: the value of padding */
    uint8_t weight_bits;   /* 8, 4 or 2 */
    uint8_t strip;         /* output columns that are computed together */
    const int8_t *weights; /* [c][9]; a channel begins in a byte of its own */
    const int32_t *lanes;  /* [c][3]: offset of a sum, multiplier, addend: core/poly.h */
} qmcu_depthwise_poly_t;

/* in and out are whole maps that do not overlap.
 * scratch, of words: with words = (strip + 2) / pixels, rounded up, and pixels = 3 at 4 bits and 4 at 2 bits,
 * 288 + 32 * (4 * words + 15) + 16 * pixels * words bytes. */
void qmcu_depthwise_poly(const qmcu_depthwise_poly_t *layer, const int8_t *in, int8_t *out, int8_t *scratch);

/* The same for a part of the output. */
void qmcu_depthwise_poly_part(const qmcu_depthwise_poly_t *layer, const qmcu_part_t *part, int8_t *scratch);

#ifdef __cplusplus
}
#endif

#endif
