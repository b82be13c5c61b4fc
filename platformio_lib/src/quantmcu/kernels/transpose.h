/* transpose.h: axes in another order. Python twin: quantmcu_kit/ops/transpose.py. */
#ifndef QMCU_KERNELS_TRANSPOSE_H
#define QMCU_KERNELS_TRANSPOSE_H

#include "../core/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qmcu_shape_t out;    /* sizes of the output's axes after the batch */
    qmcu_steps_t stride; /* input values that one step along each of them moves on */
    int32_t in_channels; /* of an input pixel */
    uint8_t in_bits;
    const int8_t *table; /* [2^in_bits] to the values of an output of another width; NULL: they stay */
} qmcu_transpose_t;

/* in, out: out.h * out.w * out.c values, no overlap. */
void qmcu_transpose(const qmcu_transpose_t *layer, const int8_t *in, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
