/* add_sums.h: sums of maps, what of them is alike at all widths.
 *
 * The operand of the greater scale has half of the common one, and its scaled value is (q - zero_point) * 2^19, exactly.
 * The other one and the sum are requantized as in core/requant_lane.h. What is not like that goes to the reference:
 * differences, and outputs of scales far from those of the operands. */
#ifndef QMCU_NATIVE_CORTEXM_DSP_ADD_SUMS_H
#define QMCU_NATIVE_CORTEXM_DSP_ADD_SUMS_H

#include "../../core/requant_lane.h"
#include "../../core/types.h"
#include "assembly.h"

#define MOST_OTHER_SHIFT 30 /* beyond it, values below 2^28 become 0 as well */
#define MOST_SHIFT 28       /* the output's zero-point and a half, shifted, stay below 2^30 with it or less */

/* In the order in which they are loaded. Values are doubled: x = 2 * sum, |x| < 2^30. */
typedef struct {
    const int8_t *end;        /* of the output */
    int32_t exact_bias;       /* -zero_point * 2^20 */
    int32_t other_bias;       /* -zero_point * 2^21 */
    int32_t other_multiplier; /* requantization of the other operand; its zero-point is 0 */
    int32_t other_round;
    int32_t other_shift;
    int32_t multiplier; /* requantization of the sum */
    int32_t round;
    int32_t shift;
} add_sums_t;

/* A value of either operand in r2, by what loads it from r11 (exact) or r12, becomes byte `bit` / 8 of r11. */
#define ADD_SUM(exact, other, saturate, bit) \
    other                                    \
    "add r2, r4, r2, lsl #21\n"              \
    "smmlar lr, r2, r5, r6\n"                \
    "add lr, lr, r2, asr #31\n"              \
    "asr lr, lr, r7\n"                       \
    exact                                    \
    "add r2, r3, r2, lsl #20\n"              \
    "add r2, r2, lr, lsl #1\n"               \
    "smmlar lr, r2, r8, r9\n"                \
    "add lr, lr, r2, asr #31\n"              \
    "asr lr, lr, r10\n"                      \
    saturate "\n"                            \
    "bfi r11, lr, #" bit ", #8\n"
#define ADD_BYTE(word, bit) "sxtb r2, " word ", ror #" bit "\n"
#define ADD_NIBBLE(word, bit) "ubfx r2, " word ", #" bit ", #4\n"

/* Four values after four: of exact (r0), other (r1), to r2; r3: add_sums_t. There is at least one four. */
#define ADD_LOOP(load_exact, load_other, sums, store)      \
    "push {r4-r11, lr}\n" QMCU_SPILL_BEGIN                 \
    "ldr r12, [r3], #4\n"                                  \
    QMCU_SPILL(0, "r2") QMCU_SPILL(1, "r12")               \
    "ldm r3, {r3-r10}\n"                                   \
    "1:\n" load_other load_exact sums                      \
    QMCU_FILL("r2", 0) QMCU_FILL("r12", 1)                 \
    store                                                  \
    QMCU_SPILL(0, "r2")                                    \
    "cmp r2, r12\n"                                        \
    "bne 1b\n" QMCU_SPILL_END                              \
    "pop {r4-r11, pc}\n"

static inline int add_is_half(const qmcu_addend_t *addend)
{
    return addend->multiplier == 1 << 30 && addend->shift == 0;
}

/* Whether zero_point * 2^shift and a half of 2^shift stay below 2^30 together. */
static inline int add_has_room(int32_t zero_point, int32_t shift)
{
    return shift > 0 && shift <= MOST_SHIFT && (zero_point < 0 ? -zero_point : zero_point) <= 1 << (29 - shift);
}

/* Fills in what the loops need, all but the end of the output; whether they can do it. */
static inline int add_prepare(const qmcu_add_scaling_t *scaling, add_sums_t *sums, int *a_is_exact)
{
    *a_is_exact = add_is_half(&scaling->a);
    const qmcu_addend_t *exact = *a_is_exact ? &scaling->a : &scaling->b;
    const qmcu_addend_t *other = *a_is_exact ? &scaling->b : &scaling->a;
    const int32_t shift = -scaling->shift, full_shift = -other->shift;
    const int is_nothing = other->multiplier == 0 || full_shift > MOST_OTHER_SHIFT;
    const int32_t other_shift = is_nothing ? MOST_OTHER_SHIFT : full_shift;
    if (scaling->sign < 0 || !add_is_half(exact) || !add_has_room(scaling->zero_point, shift)) {
        return 0;
    }
    sums->exact_bias = -exact->zero_point * (1 << 20);
    sums->other_bias = -other->zero_point * (1 << 21);
    sums->other_multiplier = other->multiplier;
    sums->other_round = (1 << other_shift) >> 1;
    sums->other_shift = other_shift;
    sums->multiplier = scaling->multiplier;
    sums->round = scaling->zero_point * (1 << shift) + (1 << (shift - 1));
    sums->shift = shift;
    if (add_is_half(other)) { /* equal scales: q + 128 instead, which is not negative, so that nothing is rounded */
        sums->exact_bias = -(exact->zero_point + other->zero_point + 128) * (1 << 20);
        sums->other_bias = 128 * (1 << 21);
    }
    return 1;
}

#endif
