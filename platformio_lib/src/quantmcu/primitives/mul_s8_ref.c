/* mul_s8_ref.c: portable product of two maps. */
#include "../core/fixedpoint.h"
#include "primitives.h"

void qmcu_mul_s8__ref(const int8_t *a, const int8_t *b, const qmcu_mul_scaling_t *scaling, int32_t n, int8_t *out)
{
    const int32_t left = scaling->shift > 0 ? scaling->shift : 0, right = left - scaling->shift;
    const int32_t factor = (int32_t)1 << left; /* |product| * factor <= 255 * 255 * 2^15 < 2^31 */
    const int32_t a_zero = scaling->a_zero, b_zero = scaling->b_zero, multiplier = scaling->multiplier;
    const int32_t zero_point = scaling->zero_point, low = scaling->low, high = scaling->high;
    for (int32_t i = 0; i < n; ++i) {
        const int32_t product = (a[i] - a_zero) * (b[i] - b_zero);
        const int32_t scaled = qmcu_doubling_high_mul(product * factor, multiplier); /* |scaled| < 2^16 if right > 0 */
        const int32_t y = qmcu_rounding_shift_right_small(scaled, right);
        out[i] = qmcu_clamp_s8(y + zero_point, low, high);
    }
}
