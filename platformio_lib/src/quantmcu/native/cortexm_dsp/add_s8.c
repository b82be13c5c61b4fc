/* add_s8.c: sums of maps, four values at a time.
 *
 * The operand of the greater scale has half of the common one, and its scaled value is (q - zero_point) * 2^19, exactly.
 * The other one and the sum are requantized as in core/requant_lane.h. What is not like that goes to the reference:
 * differences, and outputs of scales far from those of the operands. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "../../core/requant_lane.h"
#include "../../primitives/words.h"
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
} sums_t;

/* Byte k of the words in r11 (exact) and r12 (other) becomes byte k of r11. */
#define SUM(byte, bit)                     \
    "sxtb r2, r12, ror #" bit "\n"         \
    "add r2, r4, r2, lsl #21\n"            \
    "smmlar lr, r2, r5, r6\n"              \
    "add lr, lr, r2, asr #31\n"            \
    "asr lr, lr, r7\n"                     \
    "sxtb r2, r11, ror #" bit "\n"         \
    "add r2, r3, r2, lsl #20\n"            \
    "add r2, r2, lr, lsl #1\n"             \
    "smmlar lr, r2, r8, r9\n"              \
    "add lr, lr, r2, asr #31\n"            \
    "asr lr, lr, r10\n"                    \
    "ssat lr, #8, lr\n"                    \
    "bfi r11, lr, #" bit ", #8\n"

/* Whole words of the output; there is at least one. */
__attribute__((naked)) static void add_words(QMCU_UNUSED const int8_t *exact, QMCU_UNUSED const int8_t *other,
                                             QMCU_UNUSED int8_t *out, QMCU_UNUSED const sums_t *sums)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n" QMCU_SPILL_BEGIN
        "ldr r12, [r3], #4\n"
        QMCU_SPILL(0, "r2") QMCU_SPILL(1, "r12")
        "ldm r3, {r3-r10}\n"
        "1:\n"
        "ldr r12, [r1], #4\n"
        "ldr r11, [r0], #4\n"
        SUM("0", "0") SUM("1", "8") SUM("2", "16") SUM("3", "24")
        QMCU_FILL("r2", 0) QMCU_FILL("r12", 1)
        "str r11, [r2], #4\n"
        QMCU_SPILL(0, "r2")
        "cmp r2, r12\n"
        "bne 1b\n" QMCU_SPILL_END
        "pop {r4-r11, pc}\n");
}

/* The same words limited to low..high. */
static void clamp_words(int8_t *out, const int8_t *end, int32_t low, int32_t high)
{
    const uint32_t lows = (uint8_t)low * 0x01010101u, highs = (uint8_t)high * 0x01010101u;
    for (; out != end; out += 4) {
        uint32_t word = qmcu_word_at(out), difference;
        __asm__("ssub8 %1, %0, %2\n"
                "sel %0, %0, %2\n"
                "ssub8 %1, %3, %0\n"
                "sel %0, %0, %3\n"
                : "+r"(word), "=&r"(difference)
                : "r"(lows), "r"(highs));
        qmcu_put_word(word, out);
    }
}

static int is_half(const qmcu_addend_t *addend)
{
    return addend->multiplier == 1 << 30 && addend->shift == 0;
}

/* Whether zero_point * 2^shift and a half of 2^shift stay below 2^30 together. */
static int has_room(int32_t zero_point, int32_t shift)
{
    return shift > 0 && shift <= MOST_SHIFT && (zero_point < 0 ? -zero_point : zero_point) <= 1 << (29 - shift);
}

void qmcu_add_s8__dsp(const int8_t *a, const int8_t *b, const qmcu_add_scaling_t *scaling, int32_t n, int8_t *out)
{
    const int a_is_exact = is_half(&scaling->a);
    const qmcu_addend_t *exact = a_is_exact ? &scaling->a : &scaling->b;
    const qmcu_addend_t *other = a_is_exact ? &scaling->b : &scaling->a;
    const int32_t whole = n & ~3, shift = -scaling->shift, full_shift = -other->shift;
    const int is_nothing = other->multiplier == 0 || full_shift > MOST_OTHER_SHIFT;
    const int32_t other_shift = is_nothing ? MOST_OTHER_SHIFT : full_shift;
    if (whole == 0 || scaling->sign < 0 || !is_half(exact) || !has_room(scaling->zero_point, shift)) {
        qmcu_add_s8__ref(a, b, scaling, n, out);
        return;
    }
    sums_t sums = {out + whole,
                   -exact->zero_point * (1 << 20),
                   -other->zero_point * (1 << 21),
                   other->multiplier,
                   (1 << other_shift) >> 1,
                   other_shift,
                   scaling->multiplier,
                   scaling->zero_point * (1 << shift) + (1 << (shift - 1)),
                   shift};
    if (is_half(other)) { /* equal scales: q + 128 instead, which is not negative, so that nothing is rounded */
        sums.exact_bias = -(exact->zero_point + other->zero_point + 128) * (1 << 20);
        sums.other_bias = 128 * (1 << 21);
    }
    add_words(a_is_exact ? a : b, a_is_exact ? b : a, out, &sums);
    if (scaling->low != -128 || scaling->high != 127) {
        clamp_words(out, out + whole, scaling->low, scaling->high);
    }
    if (whole != n) {
        qmcu_add_s8__ref(a + whole, b + whole, scaling, n - whole, out + whole);
    }
}

#endif
