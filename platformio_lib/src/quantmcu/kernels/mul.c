/* mul.c: walks over rows, so that one value per channel may meet a map. */
#include "mul.h"

#include "../primitives/primitives.h"

void qmcu_mul(const qmcu_mul_t *layer, const int8_t *a, const int8_t *b, int8_t *out)
{
    for (int32_t row = 0; row < layer->rows; ++row) {
        qmcu_mul_s8(a, b, &layer->scaling, layer->columns, out);
        a += layer->a_stride;
        b += layer->b_stride;
        out += layer->columns;
    }
}
