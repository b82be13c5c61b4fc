/* pad.h: a map within a constant. Python twin: quantmcu_kit/ops/pad.py. */
#ifndef QMCU_KERNELS_PAD_H
#define QMCU_KERNELS_PAD_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qmcu_shape_t in, out;
    qmcu_steps_t before; /* where in[0][0][0] lies in the output */
    int8_t value;        /* the zero-point */
    const int8_t *table; /* [2^in.bits] to the values of an output of another width; NULL: they stay */
} qmcu_pad_t;

/* in and out are whole maps that do not overlap. */
void qmcu_pad(const qmcu_pad_t *layer, const int8_t *in, int8_t *out);

/* The same for a part of the output. */
void qmcu_pad_part(const qmcu_pad_t *layer, const qmcu_part_t *part);

#ifdef __cplusplus
}
#endif

#endif
