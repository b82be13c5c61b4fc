/* widen_nines.c: two windows of three runs of nine values as columns, on Cortex-M with DSP instructions. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "assembly.h"
#include "widen.h"

__attribute__((naked)) void qmcu_widen_nines__dsp(const int8_t *a, const int8_t *b, int32_t pitch, uint32_t *columns,
                                                   int32_t pairs, int32_t step)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n"
        "ldr r4, [sp, #40]\n"
        "sub.w r2, r2, #8\n" /* from the ninth value of a run to the next run */
        "sub.w r4, r4, r2, lsl #1\n"
        "sub.w r4, r4, #24\n" /* from the last ninth value to the next pair */
        "str r4, [sp, #40]\n"
        "1:\n"
        QMCU_EIGHT
        "ldrsb r12, [r0]\n"
        "ldrsb lr, [r1]\n"
        "add r0, r0, r2\n"
        "add r1, r1, r2\n"
        QMCU_EIGHT
        "ldrsb r4, [r0]\n"
        "ldrsb r5, [r1]\n"
        "add r0, r0, r2\n"
        "add r1, r1, r2\n"
        "pkhbt r12, r12, r4, lsl #16\n"
        "pkhbt lr, lr, r5, lsl #16\n"
        QMCU_EIGHT
        "ldrsb r6, [r0]\n"
        "ldrsb r7, [r1]\n"
        "stm r3!, {r6, r7, r12, lr}\n"
        "ldr r8, [sp, #36]\n"
        "ldr r9, [sp, #40]\n"
        "subs r8, r8, #1\n"
        "add r0, r0, r9\n"
        "add r1, r1, r9\n"
        "str r8, [sp, #36]\n"
        "bne.w 1b\n"
        "pop {r4-r11, pc}\n");
}

#endif
