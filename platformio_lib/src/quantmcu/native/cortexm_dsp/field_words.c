/* field_words.c: values of 4 and 2 bits as words of two, on Cortex-M with DSP instructions. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "assembly.h"

/* Four words of what is in r4, `a`, `b` and `c` bits up in turn; r3 is the mask. r12 sums lanes: below 2^16 for 1092
 * units. */
#define UNIT(a, b, c) \
    "and.w r5, r3, r4, lsr #" #a "\n" \
    "and.w r6, r3, r4, lsr #" #b "\n" \
    "and.w r7, r3, r4, lsr #" #c "\n" \
    "and.w r4, r4, r3\n" \
    "stm r2!, {r4-r7}\n" \
    "add.w r12, r12, r4\n" \
    "add.w r12, r12, r5\n" \
    "add.w r12, r12, r6\n" \
    "add.w r12, r12, r7\n"

/* r0: values, r1: units. */
#define WORDS(load, unit) \
    "push {r4-r7}\n" \
    "mov.w r12, #0\n" \
    "1:\n" \
    load \
    "subs r1, r1, #1\n" \
    unit \
    "bne 1b\n" \
    "uxth r0, r12\n" \
    "add.w r0, r0, r12, lsr #16\n" \
    "pop {r4-r7}\n" \
    "bx lr\n"

__attribute__((naked)) uint32_t qmcu_field_words_u4__dsp(const int8_t *x, int32_t units, uint32_t *words)
{
    __asm__ volatile(
        "mov.w r3, #0x000f000f\n"
        WORDS("ldr r4, [r0], #4\n", UNIT(4, 8, 12)));
}

__attribute__((naked)) uint32_t qmcu_field_words_u2__dsp(const int8_t *x, int32_t units, uint32_t *words)
{
    __asm__ volatile(
        "mov.w r3, #0x00030003\n"
        WORDS("ldrh r4, [r0], #2\norr.w r4, r4, r4, lsl #8\n", UNIT(2, 4, 6)));
}

#endif
