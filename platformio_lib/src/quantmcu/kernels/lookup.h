/* lookup.h: an operator on single int8 values as a table. Python twin: quantmcu_kit/ops/lookup.py. */
#ifndef QMCU_KERNELS_LOOKUP_H
#define QMCU_KERNELS_LOOKUP_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int32_t count;       /* values of the map */
    const int8_t *table; /* [256], indexed by the bits of the input */
} qmcu_lookup_t;

/* in, out: count bytes; out may be in. */
void qmcu_lookup(const qmcu_lookup_t *layer, const int8_t *in, int8_t *out);

/* The same for a part of the map. */
void qmcu_lookup_part(const qmcu_lookup_t *layer, const qmcu_part_t *part);

#ifdef __cplusplus
}
#endif

#endif
