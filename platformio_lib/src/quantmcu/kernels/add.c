/* add.c: sum or difference of two maps; binary.c walks over them. */
#include "add.h"

#include "../primitives/primitives.h"

static void add(const int8_t *a, const int8_t *b, const void *scaling, int32_t n, int8_t *out)
{
    qmcu_add_s8(a, b, (const qmcu_add_scaling_t *)scaling, n, out);
}

void qmcu_add(const qmcu_add_t *layer, const int8_t *a, const int8_t *b, int8_t *out)
{
    qmcu_binary(&layer->walk, add, &layer->scaling, a, b, out);
}

void qmcu_add_part(const qmcu_add_t *layer, const qmcu_part_t *part)
{
    qmcu_binary_part(&layer->walk, add, &layer->scaling, part);
}
