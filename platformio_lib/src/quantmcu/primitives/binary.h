/* binary.h: how kernels of two operands walk over them. Python twin: quantmcu_kit/ops/binary.py. */
#ifndef QMCU_PRIMITIVES_BINARY_H
#define QMCU_PRIMITIVES_BINARY_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int32_t rows, columns;      /* the output has rows * columns values */
    int32_t a_stride, b_stride; /* values that an operand moves on per row; 0 uses its first row again */
    int32_t channels;           /* values of a pixel */
    uint8_t a_bits, b_bits, out_bits;
} qmcu_walk_t;

/* out[i] from a[i] and b[i], for i in [0, n); out may be an operand of the same width. of_runs is for runs of the walk's
 * widths; where it is NULL, of_bytes gets their values unpacked. */
typedef struct {
    void (*of_bytes)(const int8_t *a, const int8_t *b, const void *scaling, int32_t n, int8_t *out);
    void (*of_runs)(const qmcu_walk_t *walk, const int8_t *a, const int8_t *b, const void *scaling, int32_t n,
                    int8_t *out);
} qmcu_binary_t;

/* a, b: columns values, or rows * columns where the stride is not 0; out may be the operand of its own size. */
void qmcu_binary(const qmcu_walk_t *walk, const qmcu_binary_t *apply, const void *scaling, const int8_t *a,
                 const int8_t *b, int8_t *out);

/* The same for a part, from part->in and part->other. An operand that is used again for each row is one pixel at the
 * start of its source: a value per channel, or one for all. */
void qmcu_binary_part(const qmcu_walk_t *walk, const qmcu_binary_t *apply, const void *scaling,
                      const qmcu_part_t *part);

#ifdef __cplusplus
}
#endif

#endif
