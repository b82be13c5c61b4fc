/* reshape.h: the same values in the same order in pixels of another size. Python twin: quantmcu_kit/ops/views.py.
 *
 * Where the values lie in the same places under both shapes, nothing is to be done; such layers have no call. */
#ifndef QMCU_KERNELS_RESHAPE_H
#define QMCU_KERNELS_RESHAPE_H

#include "../core/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int32_t count;                     /* values */
    int32_t in_channels, out_channels; /* of a pixel */
    uint8_t in_bits, out_bits;
    const int8_t *table; /* [2^in_bits] to the values of an output of another width; NULL: they stay */
} qmcu_reshape_t;

/* in, out: count values, no overlap. */
void qmcu_reshape(const qmcu_reshape_t *layer, const int8_t *in, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
