/* fully_connected_fields.h: FULLY_CONNECTED of a map of 4 or 2 bits with weights of 4 bits, two output channels in fields
 * of one lane (core/field_rows.h). Python twin: quantmcu_kit/ops/variants/fully_connected_fields.py. */
#ifndef QMCU_KERNELS_FULLY_CONNECTED_FIELDS_H
#define QMCU_KERNELS_FULLY_CONNECTED_FIELDS_H

#include "../core/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int32_t rows, in, out;     /* rows begin in bytes of their own; their values follow one another without a gap */
    uint8_t in_bits, out_bits; /* 4 or 2; 8, 4 or 2 */
    int8_t low, high;          /* limits of the output, after it was saturated to int8 */
    int32_t segment;           /* units of a segment, the last one of a row may have fewer; at most 1024 */
    int32_t start;             /* D of each segment */
    int32_t total;             /* what totals of even channels begin with, 16 bits */
    const int32_t *weights;    /* as in qmcu_field_rows_t */
    const int32_t *lanes;      /* of the same groups */
} qmcu_fully_connected_fields_t;

/* in: rows*in values; out: rows*out values, no overlap with in.
 * scratch: aligned to 4; a column, and the outputs of whole groups. */
void qmcu_fully_connected_fields(const qmcu_fully_connected_fields_t *layer, const int8_t *in, int8_t *out,
                                 int8_t *scratch);

#ifdef __cplusplus
}
#endif

#endif
