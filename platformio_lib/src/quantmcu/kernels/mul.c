/* mul.c: product of two maps; binary.c walks over them. */
#include "mul.h"

#include <stddef.h>

#include "../primitives/primitives.h"

static void mul(const int8_t *a, const int8_t *b, const void *scaling, int32_t n, int8_t *out)
{
    qmcu_mul_s8(a, b, (const qmcu_mul_scaling_t *)scaling, n, out);
}

static const qmcu_binary_t MUL = {mul, NULL};

void qmcu_mul(const qmcu_mul_t *layer, const int8_t *a, const int8_t *b, int8_t *out)
{
    qmcu_binary(&layer->walk, &MUL, &layer->scaling, a, b, out);
}

void qmcu_mul_part(const qmcu_mul_t *layer, const qmcu_part_t *part)
{
    qmcu_binary_part(&layer->walk, &MUL, &layer->scaling, part);
}
