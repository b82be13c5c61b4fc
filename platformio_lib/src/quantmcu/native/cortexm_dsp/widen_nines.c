/* widen_nines.c: two windows of three runs of nine values as columns, on Cortex-M with DSP instructions. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "slots.h"
#include "widen.h"

__attribute__((naked)) void qmcu_widen_nines__dsp(const int8_t *a, const int8_t *b, int32_t pitch, uint32_t *columns)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n"
        "sub.w r2, r2, #8\n" /* from the ninth value of a run to the next run */
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
        "mov r4, r12\n"
        "mov r5, lr\n"
        "uxth r6, r6\n"
        "uxth r7, r7\n"
        "stm r3, {r4-r7}\n"
        "pop {r4-r11, pc}\n");
}

#endif
