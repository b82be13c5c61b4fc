/* reciprocal.h: division in fixed point, bit for bit as TFLite's reference softmax.
 * Qm.n has m integer bits and n = 31 - m fractional bits. Python twin: quantmcu_kit/numerics/gemmlowp.py. */
#ifndef QMCU_CORE_RECIPROCAL_H
#define QMCU_CORE_RECIPROCAL_H

#include <stdint.h>

#include "fixedpoint.h"

/* Number of zero bits above the highest set bit; x > 0. */
static inline int32_t qmcu_leading_zeros(uint32_t x)
{
    int32_t count = 0;
    while ((x & 0x80000000u) == 0) {
        x <<= 1;
        ++count;
    }
    return count;
}

/* 1 / (1 + x) in Q0.31, for a Q0.31 x in [0, 1): three steps of Newton's division. */
static inline int32_t qmcu_one_over_one_plus_x(int32_t x)
{
    const int32_t one = (int32_t)1 << 29;                                       /* Q2.29 */
    const int32_t half_denominator = (int32_t)(((uint32_t)x + 0x80000000u) >> 1); /* (1 + x) / 2, Q0.31, in [1/2, 1) */
    int32_t estimate = 1515870810 + qmcu_doubling_high_mul(half_denominator, -1010580540); /* 48/17 - 32/17 d, Q2.29 */
    for (int32_t step = 0; step < 3; ++step) {
        const int32_t error = one - qmcu_doubling_high_mul(half_denominator, estimate); /* |error| <= 2^29 / 17 */
        estimate += qmcu_doubling_high_mul(estimate, error) * 4;                        /* 0 < estimate <= 2^30 */
    }
    return estimate < ((int32_t)1 << 30) ? estimate * 2 : INT32_MAX;
}

#endif
