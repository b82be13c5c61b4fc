/* add_runs.c: sums of maps of 8 and 4 bits, four values at a time, where one operand has 8 bits. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "add_sums.h"

typedef void loop_t(const int8_t *exact, const int8_t *other, int8_t *out, const add_sums_t *sums);

#define BYTES(word, pointer) "ldr " word ", [" pointer "], #4\n"
#define NIBBLES(word, pointer) "ldrh " word ", [" pointer "], #2\n"

/* From the last value on, so that bytes of results meet no nibble that is still needed. */
#define SUMS(exact, other, saturate) \
    ADD_SUM(exact##_3("r11"), other##_3("r12"), saturate, "24") \
    ADD_SUM(exact##_2("r11"), other##_2("r12"), saturate, "16") \
    ADD_SUM(exact##_1("r11"), other##_1("r12"), saturate, "8") \
    ADD_SUM(exact##_0("r11"), other##_0("r12"), saturate, "0")
#define BYTE_0(word) ADD_BYTE(word, "0")
#define BYTE_1(word) ADD_BYTE(word, "8")
#define BYTE_2(word) ADD_BYTE(word, "16")
#define BYTE_3(word) ADD_BYTE(word, "24")
#define NIBBLE_0(word) ADD_NIBBLE(word, "0")
#define NIBBLE_1(word) ADD_NIBBLE(word, "4")
#define NIBBLE_2(word) ADD_NIBBLE(word, "8")
#define NIBBLE_3(word) ADD_NIBBLE(word, "12")

#define TO_BYTES "str r11, [r2], #4\n"
#define TO_NIBBLES \
    "orr r11, r11, r11, lsr #4\n" \
    "uxtb16 r11, r11\n" \
    "orr r11, r11, r11, lsr #8\n" \
    "strh r11, [r2], #2\n"

#define LOOP(name, load_exact, exact, load_other, other, saturate, store) \
    __attribute__((naked)) static void name(const int8_t *from, const int8_t *with, int8_t *out, \
                                            const add_sums_t *sums) \
    { \
        __asm__ volatile(ADD_LOOP(load_exact("r11", "r0"), load_other("r12", "r1"), SUMS(exact, other, saturate), \
                                  store)); \
    }
LOOP(add_8_8_to_4, BYTES, BYTE, BYTES, BYTE, "usat lr, #4, lr", TO_NIBBLES)
LOOP(add_8_4_to_4, BYTES, BYTE, NIBBLES, NIBBLE, "usat lr, #4, lr", TO_NIBBLES)
LOOP(add_4_8_to_4, NIBBLES, NIBBLE, BYTES, BYTE, "usat lr, #4, lr", TO_NIBBLES)
LOOP(add_8_4_to_8, BYTES, BYTE, NIBBLES, NIBBLE, "ssat lr, #8, lr", TO_BYTES)
LOOP(add_4_8_to_8, NIBBLES, NIBBLE, BYTES, BYTE, "ssat lr, #8, lr", TO_BYTES)

/* What adds values of so many bits, exact, other and output; NULL: nothing does. */
static loop_t *loop_for(int32_t exact, int32_t other, int32_t out)
{
    if (exact == 8 && other == 8) {
        return out == 4 ? add_8_8_to_4 : NULL;
    }
    if (exact == 8 && other == 4) {
        return out == 4 ? add_8_4_to_4 : out == 8 ? add_8_4_to_8 : NULL;
    }
    if (exact == 4 && other == 8) {
        return out == 4 ? add_4_8_to_4 : out == 8 ? add_4_8_to_8 : NULL;
    }
    return NULL;
}

void qmcu_add_runs__dsp(const int8_t *a, const int8_t *b, const qmcu_add_scaling_t *scaling,
                        const qmcu_operand_bits_t *bits, int32_t n, int8_t *out)
{
    const int32_t whole = n & ~3, low = bits->out == 8 ? -128 : 0, high = bits->out == 8 ? 127 : 15;
    add_sums_t sums;
    int a_is_exact;
    if (whole == 0 || scaling->low != low || scaling->high != high || !add_prepare(scaling, &sums, &a_is_exact)) {
        qmcu_add_runs__ref(a, b, scaling, bits, n, out);
        return;
    }
    loop_t *loop = a_is_exact ? loop_for(bits->a, bits->b, bits->out) : loop_for(bits->b, bits->a, bits->out);
    if (loop == NULL) {
        qmcu_add_runs__ref(a, b, scaling, bits, n, out);
        return;
    }
    sums.end = out + whole * bits->out / 8;
    loop(a_is_exact ? a : b, a_is_exact ? b : a, out, &sums);
    if (whole != n) {
        qmcu_add_runs__ref(a + whole * bits->a / 8, b + whole * bits->b / 8, scaling, bits, n - whole,
                           out + whole * bits->out / 8);
    }
}

#endif
