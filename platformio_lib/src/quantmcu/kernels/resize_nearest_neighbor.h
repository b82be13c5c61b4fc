/* resize_nearest_neighbor.h: copies of the nearest pixels.
 * Python twin: quantmcu_kit/ops/resize_nearest_neighbor.py. */
#ifndef QMCU_KERNELS_RESIZE_NEAREST_NEIGHBOR_H
#define QMCU_KERNELS_RESIZE_NEAREST_NEIGHBOR_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qmcu_shape_t in, out;   /* out.c is in.c */
    const int32_t *rows;    /* [out.h]: input row of each output row */
    const int32_t *columns; /* [out.w]: input column of each output column */
    const int8_t *table;    /* [2^in.bits] to the values of an output of another width; NULL: they stay */
} qmcu_resize_nearest_neighbor_t;

/* in and out are whole maps that do not overlap. */
void qmcu_resize_nearest_neighbor(const qmcu_resize_nearest_neighbor_t *layer, const int8_t *in, int8_t *out);

/* The same for a part of the output. */
void qmcu_resize_nearest_neighbor_part(const qmcu_resize_nearest_neighbor_t *layer, const qmcu_part_t *part);

#ifdef __cplusplus
}
#endif

#endif
