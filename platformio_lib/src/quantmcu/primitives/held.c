/* held.c: held outputs of pixels on their way into the map. */
#include "held.h"

#include "bytes.h"

void qmcu_store_held(const qmcu_held_t *held, int32_t pixels, int8_t *out)
{
    qmcu_limits_t limits = held->limits;
    int8_t *values = held->values;
    if (held->step == limits.count && 8 * held->out_step == held->step * limits.bits) { /* one run, in both */
        limits.count *= pixels;
        pixels = 1;
    }
    for (; pixels > 0; --pixels, values += held->step, out += held->out_step) {
        qmcu_store_pixel(values, &limits, out);
    }
}

void qmcu_store_two(const qmcu_held_t *held, int8_t *a, int8_t *b)
{
    const int adjoin = b == a + held->out_step;
    qmcu_store_held(held, adjoin ? 2 : 1, a);
    if (b != NULL && !adjoin) {
        qmcu_store_pixel(held->second, &held->limits, b);
    }
}
