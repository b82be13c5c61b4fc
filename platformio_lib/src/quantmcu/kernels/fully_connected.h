/* fully_connected.h: rows of int8 values times a matrix. Python twin: quantmcu_kit/ops/fully_connected.py. */
#ifndef QMCU_KERNELS_FULLY_CONNECTED_H
#define QMCU_KERNELS_FULLY_CONNECTED_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int32_t rows, in, out;  /* a row of in values becomes a row of out values */
    int8_t weight_zero;     /* zero-point of the weights */
    const int8_t *weights;  /* [out][in] */
    qmcu_requant_t requant; /* rounds once; bias holds the correction for the input's zero-point */
} qmcu_fully_connected_t;

/* in: rows*in bytes; out: rows*out bytes, no overlap with in. */
void qmcu_fully_connected(const qmcu_fully_connected_t *layer, const int8_t *in, int8_t *out);

/* All pixels of a map as one row (rows = 1), part by part: _add adds the products of the pixels of part->region, here
 * of the input in part->in, which is `width` pixels wide and has pixel_bytes channels, to sum[out + 1], which begins
 * with zeros; once every pixel was added, _end writes out bytes and leaves sum undefined. */
void qmcu_fully_connected_add(const qmcu_fully_connected_t *layer, const qmcu_part_t *part, int32_t width,
                              int32_t *sum);
void qmcu_fully_connected_end(const qmcu_fully_connected_t *layer, int32_t *sum, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
