/* concatenation.h: copies one input into its place of the output. Python twin: quantmcu_kit/ops/concatenation.py. */
#ifndef QMCU_KERNELS_CONCATENATION_H
#define QMCU_KERNELS_CONCATENATION_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The output is `rows` rows, in each of which the inputs follow one another. All numbers are values. */
typedef struct {
    int32_t rows;
    int32_t row;                    /* of the input */
    int32_t out_row;                /* of the output: all inputs together */
    int32_t out_offset;             /* where the input begins within each output row */
    int32_t channels, out_channels; /* of a pixel; equal unless channels are joined: then a row is a pixel */
    uint8_t in_bits, out_bits;
    const int8_t *table; /* [2^in_bits] that rescales values, indexed by their bits; NULL copies them */
} qmcu_concatenation_t;

/* in: one input; out: the whole output, no overlap with in. Inputs whose channels are joined below 8 bits are to be
 * copied in their order. */
void qmcu_concatenation(const qmcu_concatenation_t *layer, const int8_t *in, int8_t *out);

/* The same for a part: of maps that are joined along their channels or, where qmcu_joined made the part, along rows or
 * columns. */
void qmcu_concatenation_part(const qmcu_concatenation_t *layer, const qmcu_part_t *part);

#ifdef __cplusplus
}
#endif

#endif
