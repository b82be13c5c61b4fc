/* widen_nines_ref.c: two windows of three runs of nine values as columns, in portable C. */
#include "nested.h"
#include "primitives.h"

static void widen(const int8_t *x, int32_t pitch, uint32_t *column)
{
    for (int32_t row = 0; row < 3; ++row, column += 8) {
        const int8_t *run = x + row * pitch;
        column[0] = qmcu_lanes_of(run[0], run[2]);
        column[2] = qmcu_lanes_of(run[1], run[3]);
        column[4] = qmcu_lanes_of(run[4], run[6]);
        column[6] = qmcu_lanes_of(run[5], run[7]);
    }
    column[0] = qmcu_lanes_of(x[2 * pitch + 8], x[2 * pitch + 8] < 0 ? -1 : 0);
    column[2] = qmcu_lanes_of(x[8], x[pitch + 8]);
}

void qmcu_widen_nines__ref(const int8_t *a, const int8_t *b, int32_t pitch, uint32_t *columns, int32_t pairs,
                           int32_t step)
{
    for (int32_t done = 0; done < pairs; ++done, columns += 28) {
        widen(a + done * step, pitch, columns);
        widen(b + done * step, pitch, columns + 1);
    }
}
