/* binary_table.h: sum, difference or product of two packed maps of one shape, by a table of all pairs of values.
 * Python twin: quantmcu_kit/ops/variants/binary_table.py. */
#ifndef QMCU_KERNELS_BINARY_TABLE_H
#define QMCU_KERNELS_BINARY_TABLE_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int32_t pixels, channels;
    uint8_t a_bits, b_bits, out_bits; /* of a value; operands have 4 or 2 */
    uint8_t together;                 /* values of an operand that an entry is for: 2 of 2 bits, or 1 */
    qmcu_pair_table_t rule;
} qmcu_binary_table_t;

/* out may be an operand of the same width. */
void qmcu_binary_table(const qmcu_binary_table_t *layer, const int8_t *a, const int8_t *b, int8_t *out);

/* The same for a part, from part->in and part->other. */
void qmcu_binary_table_part(const qmcu_binary_table_t *layer, const qmcu_part_t *part);

#ifdef __cplusplus
}
#endif

#endif
