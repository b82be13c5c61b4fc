/* fully_connected_pairs.h: FULLY_CONNECTED, weights of two or four outputs nested in one 16-bit lane.
 * Python twin: quantmcu_kit/ops/variants/fully_connected_pairs.py, which arranges the constants and checks bounds. */
#ifndef QMCU_KERNELS_FULLY_CONNECTED_PAIRS_H
#define QMCU_KERNELS_FULLY_CONNECTED_PAIRS_H

#include "../core/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int32_t rows, in, out;  /* a row of in values becomes a row of out values, which begins in a byte of its own */
    int32_t channels;       /* of the input, whose pixels begin in bytes of their own; rows may begin anywhere */
    uint8_t in_bits, out_bits; /* 8, 4 or 2 */
    int8_t low, high;       /* limits of the output, after it was saturated to int8 */
    uint8_t nest;           /* bits of a nested weight, 8 or 4 */
    const int32_t *weights; /* in groups of 8 outputs and smaller ones, see core/pairs.h */
    const int32_t *lanes;   /* of the same groups, see core/requant_lane.h */
} qmcu_fully_connected_pairs_t;

/* in: rows*in values; out: rows*out values, no overlap with in.
 * scratch: aligned to 4; a column, a row of unpacked values if they are packed, and the outputs of whole groups. */
void qmcu_fully_connected_pairs(const qmcu_fully_connected_pairs_t *layer, const int8_t *in, int8_t *out,
                                int8_t *scratch);

#ifdef __cplusplus
}
#endif

#endif
