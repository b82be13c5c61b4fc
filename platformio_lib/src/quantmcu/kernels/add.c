/* add.c: sum or difference of two maps; binary.c walks over them. */
#include "add.h"

#include <stddef.h>

#include "../primitives/primitives.h"

static void add(const int8_t *a, const int8_t *b, const void *scaling, int32_t n, int8_t *out)
{
    qmcu_add_s8(a, b, (const qmcu_add_scaling_t *)scaling, n, out);
}

#if QMCU_PACKED
static void add_runs(const qmcu_walk_t *walk, const int8_t *a, const int8_t *b, const void *scaling, int32_t n,
                     int8_t *out)
{
    const qmcu_operand_bits_t bits = {walk->a_bits, walk->b_bits, walk->out_bits};
    qmcu_add_runs(a, b, (const qmcu_add_scaling_t *)scaling, &bits, n, out);
}
#else
#define add_runs NULL
#endif

static const qmcu_binary_t ADD = {add, add_runs};

void qmcu_add(const qmcu_add_t *layer, const int8_t *a, const int8_t *b, int8_t *out)
{
    qmcu_binary(&layer->walk, &ADD, &layer->scaling, a, b, out);
}

void qmcu_add_part(const qmcu_add_t *layer, const qmcu_part_t *part)
{
    qmcu_binary_part(&layer->walk, &ADD, &layer->scaling, part);
}
