/* fixedpoint.h: rounding multiplication in integers, bit for bit as TFLite's reference kernels.
 * Python twin: quantmcu_kit/numerics/fixedpoint.py. */
#ifndef QMCU_CORE_FIXEDPOINT_H
#define QMCU_CORE_FIXEDPOINT_H

#include <stdint.h>

/* round(a * b / 2^31), halves up. Never called with a = b = INT32_MIN: multipliers are not negative. */
static inline int32_t qmcu_doubling_high_mul(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* round(x / 2^exponent), halves away from zero; 0 <= exponent <= 31. */
static inline int32_t qmcu_rounding_shift_right(int32_t x, int32_t exponent)
{
    const int32_t mask = (int32_t)(((uint32_t)1 << exponent) - 1u);
    const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> exponent) + ((x & mask) > threshold ? 1 : 0);
}

/* As qmcu_rounding_shift_right, in fewer steps and without a branch, for |x| < 2^30 or exponent = 0. */
static inline int32_t qmcu_rounding_shift_right_small(int32_t x, int32_t exponent)
{
    const int32_t half = (int32_t)(((uint32_t)1 << exponent) >> 1);
    const int32_t below_zero = (int32_t)((uint32_t)x >> 31) & (exponent > 0);
    return (x + half - below_zero) >> exponent;
}

/* round(x * multiplier * 2^(shift - 31)) with two roundings; |x| * 2^max(shift, 0) < 2^31. */
static inline int32_t qmcu_multiply_by_multiplier(int32_t x, int32_t multiplier, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t scaled = (int32_t)((uint32_t)x << left);
    return qmcu_rounding_shift_right(qmcu_doubling_high_mul(scaled, multiplier), left - shift);
}

/* round(x * multiplier * 2^(shift - 31)) with one rounding, halves away from zero; multiplier >= 0, -31 <= shift <= 30.
 * Python twin: quantmcu_kit/numerics/single_rounding.py. */
static inline int32_t qmcu_multiply_rounding_once(int32_t x, int32_t multiplier, int32_t shift)
{
    const int32_t exponent = 31 - shift;
    const int64_t product = (int64_t)x * multiplier; /* |product| < 2^62, and so is the half */
    return (int32_t)((product + ((int64_t)1 << (exponent - 1)) - (x < 0 ? 1 : 0)) >> exponent);
}

/* x limited to [low, high]; low, high within int8. */
static inline int8_t qmcu_clamp_s8(int32_t x, int32_t low, int32_t high)
{
    const int32_t raised = x < low ? low : x; /* two steps, which compilers turn into minima and not into branches */
    return (int8_t)(raised > high ? high : raised);
}

#endif
