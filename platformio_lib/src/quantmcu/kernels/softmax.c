/* softmax.c: exponentials from a table, one division per row. */
#include "softmax.h"

#include "../core/fixedpoint.h"
#include "../core/reciprocal.h"
#include "../primitives/values.h"

#define SUM_INTEGER_BITS 12 /* the sum is Q12.19: depth * 2^19 <= 4095 * 2^19 < 2^31 */

/* Values of a row that are taken together: all of them at 8 bits. */
static int32_t block_size(const qmcu_softmax_t *layer, int32_t first)
{
    return qmcu_block(layer->depth - first, layer->in_bits < layer->out_bits ? layer->in_bits : layer->out_bits);
}

static int32_t largest(const qmcu_softmax_t *layer, const int8_t *in)
{
    int8_t values[QMCU_CHANNEL_BLOCK];
    int32_t max = INT8_MIN, count;
    for (int32_t first = 0; first < layer->depth; first += count) {
        count = block_size(layer, first);
        const int8_t *x = qmcu_load(in, layer->in_bits, first, count, values);
        for (int32_t c = 0; c < count; ++c) {
            max = x[c] > max ? x[c] : max;
        }
    }
    return max;
}

static int32_t sum_of_exponentials(const qmcu_softmax_t *layer, const int8_t *in, int32_t max)
{
    int8_t values[QMCU_CHANNEL_BLOCK];
    int32_t sum = 0, count;
    for (int32_t first = 0; first < layer->depth; first += count) {
        count = block_size(layer, first);
        const int8_t *x = qmcu_load(in, layer->in_bits, first, count, values);
        for (int32_t c = 0; c < count; ++c) {
            const int32_t difference = max - x[c];
            if (difference < layer->count) {
                sum += qmcu_rounding_shift_right(layer->exponentials[difference], SUM_INTEGER_BITS);
            }
        }
    }
    return sum; /* >= 2^19: the largest value contributes 1.0 */
}

/* The quotients of count values. */
static void divide(const qmcu_softmax_t *layer, const int8_t *in, int32_t count, int32_t max, uint32_t sum, int8_t *out)
{
    const int32_t headroom = qmcu_leading_zeros(sum); /* 1..12 */
    const int32_t reciprocal = qmcu_one_over_one_plus_x((int32_t)((sum << headroom) - 0x80000000u));
    const int32_t bits = QMCU_PACKED ? layer->out_bits : 8, low = bits == 8 ? INT8_MIN : 0;
    const int32_t high = low + (1 << bits) - 1;
    const int32_t exponent = SUM_INTEGER_BITS - headroom + 31 - bits; /* 23..40; beyond 31 every result is 0 */
    for (int32_t c = 0; c < count; ++c) {
        const int32_t difference = max - in[c];
        int32_t y = 0;
        if (difference < layer->count && exponent <= 31) {
            const int32_t quotient = qmcu_doubling_high_mul(reciprocal, layer->exponentials[difference]);
            y = qmcu_rounding_shift_right(quotient, exponent);
        }
        out[c] = qmcu_clamp_s8(y + low, low, high);
    }
}

static void softmax_row(const qmcu_softmax_t *layer, const int8_t *in, int8_t *out)
{
    int8_t values[QMCU_CHANNEL_BLOCK], out_values[QMCU_CHANNEL_BLOCK];
    const int32_t max = largest(layer, in);
    const uint32_t sum = (uint32_t)sum_of_exponentials(layer, in, max);
    int32_t count;
    for (int32_t first = 0; first < layer->depth; first += count) {
        count = block_size(layer, first);
        const int8_t *x = qmcu_load(in, layer->in_bits, first, count, values);
        int8_t *to = qmcu_room(out, layer->out_bits, first, out_values);
        divide(layer, x, count, max, sum, to);
        qmcu_store(to, count, out, layer->out_bits, first);
    }
}

void qmcu_softmax(const qmcu_softmax_t *layer, const int8_t *in, int8_t *out)
{
    for (int32_t row = 0; row < layer->rows; ++row) {
        softmax_row(layer, in, out);
        in += qmcu_run_bytes(layer->depth, layer->in_bits);
        out += qmcu_run_bytes(layer->depth, layer->out_bits);
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
