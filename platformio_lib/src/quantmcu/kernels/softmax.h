/* softmax.h: probabilities along the last axis. Python twin: quantmcu_kit/ops/softmax.py. */
#ifndef QMCU_KERNELS_SOFTMAX_H
#define QMCU_KERNELS_SOFTMAX_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int32_t rows;                /* independent softmaxes */
    int32_t depth;               /* values of each, at most 4095 */
    int32_t count;               /* exponentials that are not zero, 1..256 */
    const int32_t *exponentials; /* [count]: exp(-d * scale * beta) in Q0.31 for a value d below the largest */
    uint8_t in_bits, out_bits;
} qmcu_softmax_t;

/* in, out: rows * depth values; out has scale 1/2^out_bits and the least value of its type as zero-point; out may be in
 * where it takes no more bytes. */
void qmcu_softmax(const qmcu_softmax_t *layer, const int8_t *in, int8_t *out);

/* The same for a part of a map whose channels are the values of one softmax. */
void qmcu_softmax_part(const qmcu_softmax_t *layer, const qmcu_part_t *part);

#ifdef __cplusplus
}
#endif

#endif
