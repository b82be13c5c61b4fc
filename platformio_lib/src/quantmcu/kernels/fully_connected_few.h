/* fully_connected_few.h: FULLY_CONNECTED of a map of 4 or 2 bits with weights of 4 bits, for layers of so few outputs
 * that arranging a row for them takes longer than the products.
 * Python twin: quantmcu_kit/ops/variants/fully_connected_few.py. */
#ifndef QMCU_KERNELS_FULLY_CONNECTED_FEW_H
#define QMCU_KERNELS_FULLY_CONNECTED_FEW_H

#include "../core/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int32_t rows, in, out;  /* rows begin in bytes of their own; their values follow one another without a gap */
    uint8_t in_bits;        /* 4 or 2 */
    uint8_t out_bits;       /* 8, 4 or 2 */
    const int8_t *weights;  /* [out][in, and zeros up to a word of inputs]: 4 bits each; as dot_nibbles has them */
    qmcu_requant_t requant; /* rounds once; bias holds the correction for the input's zero-point */
} qmcu_fully_connected_few_t;

/* in: rows*in values; out: rows*out values, no overlap with in. */
void qmcu_fully_connected_few(const qmcu_fully_connected_few_t *layer, const int8_t *in, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
