/* dot_nibbles.c: products of values of 4 or 2 bits with weights of 4 bits, 16 in 29 or 26 cycles of a Cortex-M4.
 *
 * A weight at the top of a 16-bit lane is its value times 2^12, sign and all; so are the sums, |sum| < 2^19. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "assembly.h"

/* The products of four values, in the lanes of `x`, with lanes of the words in r4 (a) and r5 (b), raised by `shift`. */
#define PRODUCTS(x, shift)               \
    "and r10, r7, r4" shift "\n"          \
    "and r11, r7, r5" shift "\n"          \
    "smlad r8, " x ", r10, r8\n"          \
    "smlad r9, " x ", r11, r9\n"

/* Between them r6 is to become a mask of the values. r0: values, r1: a, r2: b, r3: words. */
#define BEGIN                     \
    "push {r4-r11, lr}\n"         \
    "mov.w r8, #0\n"              \
    "mov.w r9, #0\n"              \
    "mov.w r7, #0xf000f000\n"     \
    "cmp r3, #0\n"                \
    "beq 2f\n"                    \
    "add.w r3, r0, r3, lsl #2\n"
/* The sums' place is on the stack. */
#define END                       \
    "cmp r0, r3\n"                \
    "bne 1b\n"                    \
    "2:\n"                        \
    "ldr r0, [sp, #36]\n"         \
    "ldrd r1, r2, [r0]\n"         \
    "add r1, r1, r8, asr #12\n"   \
    "add r2, r2, r9, asr #12\n"   \
    "strd r1, r2, [r0]\n"         \
    "pop {r4-r11, pc}\n"

__attribute__((naked)) void qmcu_dot_nibbles__dsp(const int8_t *x, const int8_t *a, const int8_t *b, int32_t words,
                                                  int32_t *sum)
{
    __asm__ volatile(
        BEGIN
        "mov.w r6, #0x000f000f\n"
        "1:\n"
        "ldr r12, [r0], #4\n"
        "ldr r4, [r1], #4\n"
        "ldr r5, [r2], #4\n"
        "and lr, r6, r12\n"
        PRODUCTS("lr", ", lsl #12")
        "and lr, r6, r12, lsr #4\n"
        PRODUCTS("lr", ", lsl #8")
        "and lr, r6, r12, lsr #8\n"
        PRODUCTS("lr", ", lsl #4")
        "and lr, r6, r12, lsr #12\n"
        PRODUCTS("lr", "")
        END);
}

/* Four values of 2 bits, by what brings them to the lowest bits, and those eight further: with words of weights. */
#define FOUR(first, second, third, fourth) \
    "ldr r4, [r1], #4\n"                   \
    "ldr r5, [r2], #4\n"                   \
    "and lr, r6, r12" first "\n"           \
    PRODUCTS("lr", ", lsl #12")            \
    "and lr, r6, r12, lsr #" second "\n"   \
    PRODUCTS("lr", ", lsl #8")             \
    "and lr, r6, r12, lsr #" third "\n"    \
    PRODUCTS("lr", ", lsl #4")             \
    "and lr, r6, r12, lsr #" fourth "\n"   \
    PRODUCTS("lr", "")

__attribute__((naked)) void qmcu_dot_nibbles_u2__dsp(const int8_t *x, const int8_t *a, const int8_t *b, int32_t words,
                                                     int32_t *sum)
{
    __asm__ volatile(
        BEGIN
        "mov.w r6, #0x00030003\n"
        "1:\n"
        "ldr r12, [r0], #4\n"
        FOUR("", "2", "4", "6")
        FOUR(", lsr #8", "10", "12", "14")
        END);
}

#endif
