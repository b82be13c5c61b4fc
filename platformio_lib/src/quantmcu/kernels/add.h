/* add.h: sum or difference of two maps. Python twin: quantmcu_kit/ops/add.py. */
#ifndef QMCU_KERNELS_ADD_H
#define QMCU_KERNELS_ADD_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int32_t rows, columns;      /* the output has rows * columns values */
    int32_t a_stride, b_stride; /* values that an operand moves on per row; 0 uses its first row again */
    int32_t channels;           /* values of a pixel */
    uint8_t a_bits, b_bits, out_bits;
    qmcu_add_scaling_t scaling;
} qmcu_add_t;

/* a, b: columns values, or rows * columns where the stride is not 0; out may be the operand of its own size. */
void qmcu_add(const qmcu_add_t *layer, const int8_t *a, const int8_t *b, int8_t *out);

/* The same for a part, from part->in and part->other. An operand that is used again for each row is one pixel at the
 * start of its source: a value per channel, or one for all. */
void qmcu_add_part(const qmcu_add_t *layer, const qmcu_part_t *part);

#ifdef __cplusplus
}
#endif

#endif
