/* average_pool_2d.h: mean over windows of an NHWC map. Python twin: quantmcu_kit/ops/average_pool_2d.py. */
#ifndef QMCU_KERNELS_AVERAGE_POOL_2D_H
#define QMCU_KERNELS_AVERAGE_POOL_2D_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qmcu_shape_t in, out;
    qmcu_size_t window, stride;
    qmcu_margin_t pad;
    int8_t low, high; /* clamp of the fused activation */
    int32_t offset; /* added to each value before the rounded division and taken off afterwards: 128 for legacy uint8
                     * maps, whose halves go up; 0 where they go away from zero */
    const int32_t *scales; /* [][3], for an output of another width: a number of pixels that windows have, multiplier
                            * and shift of their sum; NULL: the sum is divided by the number */
    int8_t in_zero, out_zero; /* zero-points, with scales */
} qmcu_average_pool_2d_t;

/* in and out are whole maps that do not overlap. */
void qmcu_average_pool_2d(const qmcu_average_pool_2d_t *layer, const int8_t *in, int8_t *out);

/* The same for a part of the output. */
void qmcu_average_pool_2d_part(const qmcu_average_pool_2d_t *layer, const qmcu_part_t *part);

/* A window that is the whole input, part by part: _add adds the pixels of part->region, here of the input in part->in,
 * to sum[in.c], which begins with zeros; once every pixel was added, _end writes the output. */
void qmcu_average_pool_2d_add(const qmcu_average_pool_2d_t *layer, const qmcu_part_t *part, int32_t *sum);
void qmcu_average_pool_2d_end(const qmcu_average_pool_2d_t *layer, const int32_t *sum, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
