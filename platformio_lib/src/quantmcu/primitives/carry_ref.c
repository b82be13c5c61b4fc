/* carry_ref.c: portable copy of values from a run to another, of any widths. */
#include <string.h>

#include "runs.h"

void qmcu_carry__ref(const int8_t *from, int32_t first, int8_t *to, int32_t place, int32_t count,
                     const qmcu_carry_t *rule)
{
    const int32_t in_bits = rule->in_bits, out_bits = rule->out_bits;
    int8_t in_values[QMCU_CHANNEL_BLOCK], out_values[QMCU_CHANNEL_BLOCK];
    if (rule->table == NULL && in_bits == out_bits && ((first * in_bits) & 7) == 0 && ((place * in_bits) & 7) == 0) {
        memcpy(to + (place * in_bits >> 3), from + (first * in_bits >> 3), (size_t)qmcu_run_bytes(count, in_bits));
        return;
    }
    const int32_t most = in_bits == 8 && out_bits == 8 ? count : QMCU_CHANNEL_BLOCK;
    for (int32_t done = 0; done < count; done += most) {
        const int32_t n = count - done < most ? count - done : most;
        const int8_t *x = qmcu_load(from, in_bits, first + done, n, in_values);
        int8_t *y = qmcu_room(to, out_bits, place + done, out_values);
        if (rule->table != NULL) {
            qmcu_lookup_s8(x, rule->table, n, y);
        } else {
            memcpy(y, x, (size_t)n);
        }
        qmcu_store(y, n, to, out_bits, place + done);
    }
}
