/* concatenation.h: copies one input into its place of the output. Python twin: quantmcu_kit/ops/concatenation.py. */
#ifndef QMCU_KERNELS_CONCATENATION_H
#define QMCU_KERNELS_CONCATENATION_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int32_t rows;
    int32_t row_bytes;     /* of the input */
    int32_t out_row_bytes; /* of the output: all inputs together */
    int32_t out_offset;    /* where the input begins within each output row */
    const int8_t *table;   /* [256] that rescales values, indexed by their bits; NULL copies them */
} qmcu_concatenation_t;

/* in: rows * row_bytes; out: the whole output, rows * out_row_bytes, no overlap with in. */
void qmcu_concatenation(const qmcu_concatenation_t *layer, const int8_t *in, int8_t *out);

/* The same for a part: of maps that are joined along their channels or, where qmcu_joined made the part, along rows or
 * columns. */
void qmcu_concatenation_part(const qmcu_concatenation_t *layer, const qmcu_part_t *part);

#ifdef __cplusplus
}
#endif

#endif
