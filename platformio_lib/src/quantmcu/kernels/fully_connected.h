/* fully_connected.h: rows of values times a matrix. Python twin: quantmcu_kit/ops/fully_connected.py. */
#ifndef QMCU_KERNELS_FULLY_CONNECTED_H
#define QMCU_KERNELS_FULLY_CONNECTED_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int32_t rows, in, out;  /* a row of in values becomes a row of out values, which begins in a byte of its own */
    int32_t channels;       /* of the input, whose pixels begin in bytes of their own; rows may begin anywhere */
    uint8_t in_bits, out_bits, weight_bits; /* 8, 4 or 2 */
    int8_t weight_zero;     /* zero-point of the weights */
    const int8_t *weights;  /* [out][in]; a row begins in a byte of its own */
    qmcu_requant_t requant; /* rounds once; bias holds the correction for the input's zero-point */
} qmcu_fully_connected_t;

/* in: rows*in values; out: rows*out values, no overlap with in. */
void qmcu_fully_connected(const qmcu_fully_connected_t *layer, const int8_t *in, int8_t *out);

/* All pixels of a map as one row (rows = 1), part by part: _add adds the products of the pixels of part->region, here
 * of the input in part->in, which is `width` pixels wide, to sum[out + 1], which begins with zeros; once every pixel was
 * added, _end writes out values and leaves sum undefined. part->out is the input too: it tells a pixel's channels. */
void qmcu_fully_connected_add(const qmcu_fully_connected_t *layer, const qmcu_part_t *part, int32_t width,
                              int32_t *sum);
void qmcu_fully_connected_end(const qmcu_fully_connected_t *layer, int32_t *sum, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
