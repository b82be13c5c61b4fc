/* add_s8_ref.c: portable sum or difference of two maps on a common scale.
 *
 * An operand's scaled value is round(v * 2^20 * multiplier / 2^31) = floor((v * multiplier + 2^10) / 2^11). Splitting
 * the multiplier into high * 2^11 + low keeps it within 32 bits: |v * high| < 2^28, |v * low| < 2^19. */
#include "../core/fixedpoint.h"
#include "primitives.h"

#define SPLIT 11

typedef struct {
    int32_t high, low, shift, zero_point;
} split_t;

static inline split_t split(const qmcu_addend_t *addend)
{
    const split_t parts = {addend->multiplier >> SPLIT, addend->multiplier & ((1 << SPLIT) - 1), -addend->shift,
                           addend->zero_point};
    return parts;
}

/* q on the common scale; |result| < 2^28. */
static inline int32_t scale(int32_t q, split_t by)
{
    const int32_t v = q - by.zero_point; /* |v| <= 255 */
    const int32_t scaled = v * by.high + ((v * by.low + (1 << (SPLIT - 1))) >> SPLIT);
    return qmcu_rounding_shift_right_small(scaled, by.shift);
}

void qmcu_add_s8__ref(const int8_t *a, const int8_t *b, const qmcu_add_scaling_t *scaling, int32_t n, int8_t *out)
{
    const split_t by_a = split(&scaling->a), by_b = split(&scaling->b);
    const int32_t multiplier = scaling->multiplier, shift = -scaling->shift, sign = scaling->sign;
    const int32_t zero_point = scaling->zero_point, low = scaling->low, high = scaling->high;
    for (int32_t i = 0; i < n; ++i) {
        const int32_t sum = scale(a[i], by_a) + sign * scale(b[i], by_b); /* |sum| < 2^29 */
        const int32_t y = qmcu_rounding_shift_right_small(qmcu_doubling_high_mul(sum, multiplier), shift);
        out[i] = qmcu_clamp_s8(y + zero_point, low, high);
    }
}
