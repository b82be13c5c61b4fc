/* lookup.c: one table for the whole map. */
#include "lookup.h"

#include "../primitives/primitives.h"

void qmcu_lookup(const qmcu_lookup_t *layer, const int8_t *in, int8_t *out)
{
    qmcu_lookup_s8(in, layer->table, layer->count, out);
}
