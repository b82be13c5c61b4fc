/* softmax.c: exponentials from a table, one division per row. */
#include "softmax.h"

#include "../core/fixedpoint.h"
#include "../core/reciprocal.h"

#define SUM_INTEGER_BITS 12 /* the sum is Q12.19: depth * 2^19 <= 4095 * 2^19 < 2^31 */

static int32_t largest(const int8_t *in, int32_t depth)
{
    int32_t max = in[0];
    for (int32_t c = 1; c < depth; ++c) {
        max = in[c] > max ? in[c] : max;
    }
    return max;
}

static int32_t sum_of_exponentials(const qmcu_softmax_t *layer, const int8_t *in, int32_t max)
{
    int32_t sum = 0;
    for (int32_t c = 0; c < layer->depth; ++c) {
        const int32_t difference = max - in[c];
        if (difference < layer->count) {
            sum += qmcu_rounding_shift_right(layer->exponentials[difference], SUM_INTEGER_BITS);
        }
    }
    return sum; /* >= 2^19: the largest value contributes 1.0 */
}

static void softmax_row(const qmcu_softmax_t *layer, const int8_t *in, int8_t *out)
{
    const int32_t max = largest(in, layer->depth);
    const uint32_t sum = (uint32_t)sum_of_exponentials(layer, in, max);
    const int32_t headroom = qmcu_leading_zeros(sum); /* 1..12 */
    const int32_t reciprocal = qmcu_one_over_one_plus_x((int32_t)((sum << headroom) - 0x80000000u));
    const int32_t exponent = SUM_INTEGER_BITS - headroom + 31 - 8; /* 23..34; beyond 31 every result is 0 */
    for (int32_t c = 0; c < layer->depth; ++c) {
        const int32_t difference = max - in[c];
        int32_t y = 0;
        if (difference < layer->count && exponent <= 31) {
            y = qmcu_rounding_shift_right(qmcu_doubling_high_mul(reciprocal, layer->exponentials[difference]), exponent);
        }
        out[c] = qmcu_clamp_s8(y - 128, -128, 127);
    }
}

void qmcu_softmax(const qmcu_softmax_t *layer, const int8_t *in, int8_t *out)
{
    for (int32_t row = 0; row < layer->rows; ++row) {
        softmax_row(layer, in, out);
        in += layer->depth;
        out += layer->depth;
    }
}

void qmcu_softmax_part(const qmcu_softmax_t *layer, const qmcu_part_t *part)
{
    const qmcu_region_t region = part->region;
    for (int32_t y = region.top; y < region.bottom; ++y) {
        for (int32_t x = region.left; x < region.right; ++x) {
            softmax_row(layer, qmcu_source_pixel(&part->in, y, x), qmcu_target_pixel(&part->out, y, x));
        }
    }
}
