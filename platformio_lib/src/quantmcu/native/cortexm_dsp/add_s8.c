/* add_s8.c: sums of maps of 8 bits, four values at a time. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "../../primitives/words.h"
#include "add_sums.h"

#define SUM(bit) ADD_SUM(ADD_BYTE("r11", bit), ADD_BYTE("r12", bit), "ssat lr, #8, lr", bit)

__attribute__((naked)) static void add_words(const int8_t *exact, const int8_t *other, int8_t *out,
                                             const add_sums_t *sums)
{
    __asm__ volatile(ADD_LOOP("ldr r11, [r0], #4\n", "ldr r12, [r1], #4\n", SUM("0") SUM("8") SUM("16") SUM("24"),
                              "str r11, [r2], #4\n"));
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

void qmcu_add_s8__dsp(const int8_t *a, const int8_t *b, const qmcu_add_scaling_t *scaling, int32_t n, int8_t *out)
{
    const int32_t whole = n & ~3;
    add_sums_t sums;
    int a_is_exact;
    if (whole == 0 || !add_prepare(scaling, &sums, &a_is_exact)) {
        qmcu_add_s8__ref(a, b, scaling, n, out);
        return;
    }
    sums.end = out + whole;
    add_words(a_is_exact ? a : b, a_is_exact ? b : a, out, &sums);
    if (scaling->low != -128 || scaling->high != 127) {
        clamp_words(out, out + whole, scaling->low, scaling->high);
    }
    if (whole != n) {
        qmcu_add_s8__ref(a + whole, b + whole, scaling, n - whole, out + whole);
    }
}

#endif
