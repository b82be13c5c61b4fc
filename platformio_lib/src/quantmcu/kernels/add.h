/* add.h: sum or difference of two maps. Python twin: quantmcu_kit/ops/add.py. */
#ifndef QMCU_KERNELS_ADD_H
#define QMCU_KERNELS_ADD_H

#include "../primitives/binary.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qmcu_walk_t walk;
    qmcu_add_scaling_t scaling;
} qmcu_add_t;

/* As qmcu_binary and qmcu_binary_part. */
void qmcu_add(const qmcu_add_t *layer, const int8_t *a, const int8_t *b, int8_t *out);
void qmcu_add_part(const qmcu_add_t *layer, const qmcu_part_t *part);

#ifdef __cplusplus
}
#endif

#endif
