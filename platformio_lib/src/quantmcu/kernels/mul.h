/* mul.h: product of two maps. Python twin: quantmcu_kit/ops/mul.py. */
#ifndef QMCU_KERNELS_MUL_H
#define QMCU_KERNELS_MUL_H

#include "../primitives/binary.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qmcu_walk_t walk;
    qmcu_mul_scaling_t scaling;
} qmcu_mul_t;

/* As qmcu_binary and qmcu_binary_part. */
void qmcu_mul(const qmcu_mul_t *layer, const int8_t *a, const int8_t *b, int8_t *out);
void qmcu_mul_part(const qmcu_mul_t *layer, const qmcu_part_t *part);

#ifdef __cplusplus
}
#endif

#endif
