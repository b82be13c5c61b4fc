/* concatenation.c: a strided copy. */
#include "concatenation.h"

#include <string.h>

#include "../primitives/primitives.h"

void qmcu_concatenation(const qmcu_concatenation_t *layer, const int8_t *in, int8_t *out)
{
    out += layer->out_offset;
    for (int32_t row = 0; row < layer->rows; ++row) {
        if (layer->table == NULL) {
            memcpy(out, in, (size_t)layer->row_bytes);
        } else {
            qmcu_lookup_s8(in, layer->table, layer->row_bytes, out);
        }
        in += layer->row_bytes;
        out += layer->out_row_bytes;
    }
}
