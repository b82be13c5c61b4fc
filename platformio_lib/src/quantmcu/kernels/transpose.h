/* transpose.h: axes in another order. Python twin: quantmcu_kit/ops/transpose.py. */
#ifndef QMCU_KERNELS_TRANSPOSE_H
#define QMCU_KERNELS_TRANSPOSE_H

#include "../core/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qmcu_shape_t out;    /* sizes of the output's axes after the batch */
    qmcu_shape_t stride; /* input values that one step along each of them moves on */
} qmcu_transpose_t;

/* in, out: out.h * out.w * out.c bytes, no overlap. */
void qmcu_transpose(const qmcu_transpose_t *layer, const int8_t *in, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
