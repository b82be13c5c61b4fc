/* widen_pair.c: two windows become two columns of 16-bit lanes, word by word in turn, on Cortex-M with the DSP
 * extension.
 *
 * 16 values of both take 48 cycles of a Cortex-M4, with the sums 68. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "assembly.h"
#include "widen.h"

#define FOUR(add_first, add_second) \
    "ldr r4, [r0], #4\n" \
    "ldr r5, [r1], #4\n" \
    "sxtb16 r6, r4, ror #8\n" \
    "sxtb16 r7, r5, ror #8\n" \
    "sxtb16 r4, r4\n" \
    "sxtb16 r5, r5\n" \
    add_first add_second \
    "stm r3!, {r4-r7}\n"

/* r8 and r9 are the sums, r10 is a one in each lane. */
#define ADD_FIRST "smlad r8, r4, r10, r8\nsmlad r9, r5, r10, r9\n"
#define ADD_SECOND "smlad r8, r6, r10, r8\nsmlad r9, r7, r10, r9\n"

#define SIXTEEN QMCU_EIGHT QMCU_EIGHT
#define SIXTEEN_ADDED \
    FOUR(ADD_FIRST, ADD_SECOND) FOUR(ADD_FIRST, ADD_SECOND) FOUR(ADD_FIRST, ADD_SECOND) FOUR(ADD_FIRST, ADD_SECOND)

/* r0 and r1: the sources, r2: the runs, whose number is in lr, r3: the columns; r12: values that are left of a run. */
#define RUNS(sixteen, add_first, add_second, end_run, next_run) \
    "1:\n" \
    "ldr r12, [r2]\n" \
    "subs r12, r12, #16\n" \
    "blt 3f\n" \
    "2:\n" sixteen \
    "subs r12, r12, #16\n" \
    "bge 2b\n" \
    "3:\n" \
    "adds r12, r12, #12\n" \
    "blt 5f\n" \
    "4:\n" FOUR(add_first, add_second) \
    "subs r12, r12, #4\n" \
    "bge 4b\n" \
    "5:\n" \
    "adds r12, r12, #4\n" \
    "beq 8f\n" \
    "ldrsb r4, [r0], #1\n" \
    "ldrsb r5, [r1], #1\n" \
    "subs r12, r12, #2\n" \
    "blt 6f\n" /* one is left, two, or three */ \
    "ldrsb r6, [r0], #1\n" \
    "ldrsb r7, [r1], #1\n" \
    "beq 7f\n" \
    "ldrsb r11, [r0], #1\n" \
    "ldrsb r12, [r1], #1\n" \
    "uxth r6, r6\n" \
    "uxth r7, r7\n" \
    "pkhbt r4, r4, r11, lsl #16\n" \
    "pkhbt r5, r5, r12, lsl #16\n" \
    add_first add_second \
    "stm r3!, {r4-r7}\n" \
    "b 8f\n" \
    "6:\n" \
    "uxth r4, r4\n" \
    "uxth r5, r5\n" \
    add_first \
    "stm r3!, {r4, r5}\n" \
    "b 8f\n" \
    "7:\n" \
    "pkhbt r4, r4, r6, lsl #16\n" \
    "pkhbt r5, r5, r7, lsl #16\n" \
    add_first \
    "stm r3!, {r4, r5}\n" \
    "8:\n" end_run \
    "beq 9f\n" next_run \
    "ldr r4, [r2, #8]\n" \
    "ldr r5, [r2, #12]\n" \
    "ldr r6, [r2, #16]\n" \
    "add r0, r0, r4\n" \
    "add r1, r1, r5\n" \
    "add r3, r3, r6\n" \
    "b 1b\n" \
    "9:\n"

/* Stores the sums of a run; the place is the fifth argument. Then the next ones begin. */
#define STORE_SUMS \
    "ldr r11, [sp, #36]\n" \
    "subs lr, lr, #1\n" \
    "str r8, [r11]\n" \
    "str r9, [r11, #4]\n"
#define NEXT_SUMS \
    "ldr r12, [r2, #20]\n" \
    "mov.w r8, #0\n" \
    "add r11, r11, r12\n" \
    "mov.w r9, #0\n" \
    "str r11, [sp, #36]\n"
#define COUNT "subs lr, lr, #1\n"

__attribute__((naked)) void qmcu_widen_pair__dsp(const int8_t *a, const int8_t *b, const qmcu_runs_t *runs,
                                                  uint32_t *columns)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n"
        "ldr lr, [r2, #4]\n"
        "ldr r12, [r2]\n"
        "ldr r4, [r2, #16]\n"
        "sub.w r12, r12, #8\n"
        "orrs r4, r4, r12\n"
        "bne.w 1f\n"
        "ldr r12, [r2, #8]\n" /* runs of eight values whose columns follow one another */
        "ldr r2, [r2, #12]\n"
        "0:\n" QMCU_EIGHT
        "subs lr, lr, #1\n"
        "add r0, r0, r12\n"
        "add r1, r1, r2\n"
        "bne.w 0b\n"
        "b.w 9f\n"
        RUNS(SIXTEEN, "", "", COUNT, "")
        "pop {r4-r11, pc}\n");
}

__attribute__((naked)) void qmcu_widen_pair_summed__dsp(const int8_t *a, const int8_t *b, const qmcu_runs_t *runs,
                                                         uint32_t *columns, uint32_t *sums)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n"
        "ldr lr, [r2, #4]\n"
        "mov.w r8, #0\n"
        "mov.w r9, #0\n"
        "mov.w r10, #0x00010001\n"
        RUNS(SIXTEEN_ADDED, ADD_FIRST, ADD_SECOND, STORE_SUMS, NEXT_SUMS)
        "pop {r4-r11, pc}\n");
}

#endif
