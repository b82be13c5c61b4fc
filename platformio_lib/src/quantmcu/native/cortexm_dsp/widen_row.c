/* widen_row.c: int8 values as 16-bit lanes, on Cortex-M with DSP instructions.
 *
 * 16 values take 26 cycles of a Cortex-M4, with their sum 34. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "assembly.h"

/* r12 is the sum, r3 a one in each lane. */
#define ADD(a, b) "smlad r12, " #a ", r3, r12\nsmlad r12, " #b ", r3, r12\n"
#define LEAVE_OUT(a, b) ""

/* r0: values, r1: how many, r2: the column. */
#define WIDEN(ADD) \
    "subs r1, r1, #16\n" \
    "blt 2f\n" \
    "1:\n" \
    "ldr r5, [r0, #4]\n" \
    "ldr r7, [r0, #8]\n" \
    "ldr r9, [r0, #12]\n" \
    "ldr r4, [r0], #16\n" \
    "sxtb16 r6, r5\n" \
    "sxtb16 r8, r7\n" \
    "sxtb16 r10, r9\n" \
    "sxtb16 r11, r9, ror #8\n" \
    "sxtb16 r9, r7, ror #8\n" \
    "sxtb16 r7, r5, ror #8\n" \
    "sxtb16 r5, r4, ror #8\n" \
    "sxtb16 r4, r4\n" \
    ADD(r4, r5) ADD(r6, r7) ADD(r8, r9) ADD(r10, r11) \
    "stm r2!, {r4-r11}\n" \
    "subs r1, r1, #16\n" \
    "bge 1b\n" \
    "2:\n" \
    "adds r1, r1, #12\n" \
    "blt 4f\n" \
    "3:\n" \
    "ldr r4, [r0], #4\n" \
    "sxtb16 r5, r4, ror #8\n" \
    "sxtb16 r4, r4\n" \
    ADD(r4, r5) \
    "stm r2!, {r4, r5}\n" \
    "subs r1, r1, #4\n" \
    "bge 3b\n" \
    "4:\n" \
    "adds r1, r1, #4\n" \
    "beq 6f\n" \
    "mov.w r5, #0\n" \
    "ldrsb r6, [r0], #1\n" \
    "uxth r4, r6\n"               /* one value is left: (k, 0), (0, 0) */ \
    "subs r1, r1, #2\n" \
    "blt 5f\n" \
    "ldrsb r7, [r0], #1\n" \
    "itt eq\n" \
    "pkhbteq r4, r4, r7, lsl #16\n" /* two: (k, k + 1), (0, 0) */ \
    "beq 5f\n" \
    "uxth r5, r7\n"               /* three: (k, k + 2), (k + 1, 0) */ \
    "ldrsb r7, [r0], #1\n" \
    "pkhbt r4, r4, r7, lsl #16\n" \
    "5:\n" \
    ADD(r4, r5) \
    "stm r2!, {r4, r5}\n" \
    "6:\n"

__attribute__((naked)) void qmcu_widen_row__dsp(const int8_t *x, int32_t count, uint32_t *column)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n"
        WIDEN(LEAVE_OUT)
        "pop {r4-r11, pc}\n");
}

__attribute__((naked)) uint32_t qmcu_widen_row_summed__dsp(const int8_t *x, int32_t count, uint32_t *column)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n"
        "mov.w r3, #0x00010001\n"
        "mov.w r12, #0\n"
        WIDEN(ADD)
        "mov r0, r12\n"
        "pop {r4-r11, pc}\n");
}

#endif
