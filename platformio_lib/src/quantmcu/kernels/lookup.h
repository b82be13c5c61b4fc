/* lookup.h: an operator on single values as a table. Python twin: quantmcu_kit/ops/lookup.py. */
#ifndef QMCU_KERNELS_LOOKUP_H
#define QMCU_KERNELS_LOOKUP_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int32_t count;    /* values of the map */
    int32_t channels; /* of a pixel */
    uint8_t in_bits, out_bits;
    const int8_t *table; /* [2^in_bits], indexed by the bits of the input */
} qmcu_lookup_t;

/* in, out: count values; out may be in where it takes no more bytes. */
void qmcu_lookup(const qmcu_lookup_t *layer, const int8_t *in, int8_t *out);

/* The same for a part of the map. */
void qmcu_lookup_part(const qmcu_lookup_t *layer, const qmcu_part_t *part);

#ifdef __cplusplus
}
#endif

#endif
