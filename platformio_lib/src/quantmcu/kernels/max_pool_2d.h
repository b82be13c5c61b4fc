/* max_pool_2d.h: maximum over windows of an NHWC map. Python twin: quantmcu_kit/ops/max_pool_2d.py. */
#ifndef QMCU_KERNELS_MAX_POOL_2D_H
#define QMCU_KERNELS_MAX_POOL_2D_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qmcu_shape_t in, out;
    qmcu_size_t window, stride;
    qmcu_margin_t pad;
    int8_t low, high;    /* clamp of the fused activation */
    const int8_t *table; /* [2^in.bits] from the clamped maximum to an output of another width; NULL: it stays */
} qmcu_max_pool_2d_t;

/* in and out are whole maps that do not overlap. */
void qmcu_max_pool_2d(const qmcu_max_pool_2d_t *layer, const int8_t *in, int8_t *out);

/* The same for a part of the output. */
void qmcu_max_pool_2d_part(const qmcu_max_pool_2d_t *layer, const qmcu_part_t *part);

#ifdef __cplusplus
}
#endif

#endif
