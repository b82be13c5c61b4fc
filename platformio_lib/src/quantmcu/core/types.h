/* types.h: the small value types that kernels share. C99, and valid C++11. */
#ifndef QMCU_CORE_TYPES_H
#define QMCU_CORE_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include "../../quantmcu_config.h"

/* Height and width, in pixels or steps. */
typedef struct {
    int32_t h, w;
} qmcu_size_t;

/* A feature map: height, width, channels, and bits of a value: 8 (int8), or 4 or 2 (unsigned, packed). The channels of
 * a pixel follow one another; each pixel begins in a byte of its own (NHWC with one picture). */
typedef struct {
    int32_t h, w, c, bits;
} qmcu_shape_t;

/* Pixels or values along the axes of a map. */
typedef struct {
    int32_t h, w, c;
} qmcu_steps_t;

/* How a value of one map becomes one of another: table[its bits], of 2^in_bits entries; NULL: it stays as it is. */
typedef struct {
    const int8_t *table;
    int32_t in_bits, out_bits;
} qmcu_carry_t;

/* What becomes of operands a and b of 4 or 2 bits: table[a + 16 * b], of which only the lowest entry_bits may be set. */
typedef struct {
    const int8_t *table;
    uint8_t a_bits, b_bits, entry_bits;
} qmcu_pair_table_t;

/* Bytes of a run of values: of a pixel, or a row of a matrix. */
static inline int32_t qmcu_run_bytes(int32_t count, int32_t bits)
{
    return QMCU_PACKED && bits < 8 ? (count * bits + 7) >> 3 : count;
}

/* Padding before the first row and column. What follows the last ones is implied by the output's size. */
typedef struct {
    int32_t top, left;
} qmcu_margin_t;

/* Requantization of an int32 accumulator to int8:
 *   y = clamp(zero_point + round((acc + bias[c]) * multiplier[c] * 2^(shift[c] - 31)), low, high)
 * with TFLite's two roundings. multiplier and shift hold one entry per channel when per_channel is 1,
 * else one entry for all. |acc + bias| * 2^max(shift, 0) < 2^31 is checked when the library is built. */
typedef struct {
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    uint8_t per_channel;
    int8_t zero_point, low, high;
} qmcu_requant_t;

/* An operand of a sum, brought to a common scale: round((q - zero_point) * 2^20 * multiplier * 2^(shift - 31)) with
 * TFLite's two roundings; shift <= 0. */
typedef struct {
    int32_t multiplier;
    int8_t shift, zero_point;
} qmcu_addend_t;

/* y = clamp(zero_point + round((a + sign * b) * multiplier * 2^(shift - 31)), low, high); sign is 1 or -1, shift <= 0. */
typedef struct {
    qmcu_addend_t a, b;
    int32_t multiplier;
    int8_t shift, sign;
    int8_t zero_point, low, high;
} qmcu_add_scaling_t;

/* 8, 4 or 2. */
typedef struct {
    uint8_t a, b, out;
} qmcu_operand_bits_t;

/* y = clamp(zero_point + round((a - a_zero) * (b - b_zero) * multiplier * 2^(shift - 31)), low, high); shift <= 15. */
typedef struct {
    int32_t multiplier;
    int8_t shift;
    int8_t a_zero, b_zero;
    int8_t zero_point, low, high;
} qmcu_mul_scaling_t;

#endif
