/* accumulate_s8.c: sums of pixels channel by channel, four at a time: 19 cycles of a Cortex-M4. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "assembly.h"

/* r0: values, r1: how many, r2: the sums. */
__attribute__((naked)) void qmcu_accumulate_s8__dsp(const int8_t *x, int32_t count, int32_t *sum)
{
    __asm__ volatile(
        "push {r4-r8, lr}\n"
        "subs r1, r1, #4\n"
        "blt 2f\n"
        "1:\n"
        "ldr r3, [r0], #4\n"
        "ldm r2, {r4-r7}\n"
        "sxtab r4, r4, r3\n"
        "sxtab r5, r5, r3, ror #8\n"
        "sxtab r6, r6, r3, ror #16\n"
        "add r7, r7, r3, asr #24\n"
        "stm r2!, {r4-r7}\n"
        "subs r1, r1, #4\n"
        "bge 1b\n"
        "2:\n"
        "adds r1, r1, #4\n"
        "beq 4f\n"
        "3:\n"
        "ldrsb r3, [r0], #1\n"
        "ldr r4, [r2]\n"
        "add r4, r4, r3\n"
        "str r4, [r2], #4\n"
        "subs r1, r1, #1\n"
        "bne 3b\n"
        "4:\n"
        "pop {r4-r8, pc}\n");
}

#endif
