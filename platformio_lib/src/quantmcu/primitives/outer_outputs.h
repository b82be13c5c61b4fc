/* outer_outputs.h: sums and bytes of a tile of outer products become outputs of its pixels, in portable C. */
#ifndef QMCU_PRIMITIVES_OUTER_OUTPUTS_H
#define QMCU_PRIMITIVES_OUTER_OUTPUTS_H

#include "runs.h"

/* Bytes of `count` pixels, `pitch` apart, in which every channel has one, limited and packed. They are spoilt. */
static inline void qmcu_outer_store(int8_t *bytes, int32_t pitch, const qmcu_requant_t *requant, qmcu_shape_t shape,
                                    int8_t *const *out, int32_t count)
{
    const qmcu_limits_t limits = {shape.c, shape.bits, requant->low, requant->high};
    for (int32_t p = 0; p < count; ++p) {
        qmcu_store_limited(bytes + p * pitch, &limits, out[p]);
    }
}

/* sums[channels][size] of `count` of `size` pixels, of a requantization that has no lanes. */
static inline void qmcu_outer_requantize(const int32_t *sums, int32_t size, const qmcu_requant_t *requant,
                                         qmcu_shape_t shape, int8_t *const *out, int32_t count)
{
    int32_t block[QMCU_CHANNEL_BLOCK];
    int8_t values[QMCU_CHANNEL_BLOCK];
    for (int32_t p = 0; p < count; ++p) {
        for (int32_t first = 0; first < shape.c; first += QMCU_CHANNEL_BLOCK) {
            const int32_t left = shape.c - first, n = left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK;
            for (int32_t c = 0; c < n; ++c) {
                block[c] = sums[(first + c) * size + p];
            }
            int8_t *y = qmcu_room(out[p], shape.bits, first, values);
            qmcu_requant_s8(block, requant, first, n, y);
            qmcu_store(y, n, out[p], shape.bits, first);
        }
    }
}

#endif
