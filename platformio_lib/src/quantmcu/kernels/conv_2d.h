/* conv_2d.h: convolution of an NHWC map. Python twin: quantmcu_kit/ops/conv_2d.py. */
#ifndef QMCU_KERNELS_CONV_2D_H
#define QMCU_KERNELS_CONV_2D_H

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
    const int8_t *weights;  /* [out.c][kernel.h][kernel.w][in.c]; an output channel begins in a byte of its own */
    qmcu_requant_t requant; /* bias holds the correction for in_zero and weight_zero */
} qmcu_conv_2d_t;

/* in and out are whole maps that do not overlap.
 * window: scratch of kernel.h*kernel.w*in.c bytes; NULL for a 1x1 kernel without padding on an input of 8 bits. */
void qmcu_conv_2d(const qmcu_conv_2d_t *layer, const int8_t *in, int8_t *out, int8_t *window);

/* The same for a part: the window has the size above, NULL where it may be. */
void qmcu_conv_2d_part(const qmcu_conv_2d_t *layer, const qmcu_part_t *part, int8_t *window);

#ifdef __cplusplus
}
#endif

#endif
