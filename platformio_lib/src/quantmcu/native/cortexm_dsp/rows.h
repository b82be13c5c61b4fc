/* rows.h: requantization and stores of eight channels of one row, in assembly.
 *
 * Registers: the sums of channels 0 to 7 are r4 to r11; r1 points to the weights and is left alone. Slots: 0 the
 * column, 1 the channels' lanes, 2 the end of the column, 3 the entry of the block, 4 where the outputs go, 5 the end
 * of the lanes of groups of eight, 6 the number of smaller groups. */
#ifndef QMCU_NATIVE_CORTEXM_DSP_ROWS_H
#define QMCU_NATIVE_CORTEXM_DSP_ROWS_H

#include "assembly.h"

/* Fills the slots but for the entry. r1: the weights; r6: the words of a column; r7: groups of eight; sets no flags. */
#define QMCU_ROWS_BEGIN \
    QMCU_PUT(4, r2) \
    "ldm r1, {r4-r8}\n" \
    "add.w r0, r0, #32\n" \
    QMCU_PUT(0, r0) QMCU_PUT(1, r5) QMCU_PUT(6, r8) \
    "add.w r9, r0, r6, lsl #2\n" \
    QMCU_PUT(2, r9) \
    "add.w r5, r5, r7, lsl #7\n" \
    QMCU_PUT(5, r5) \
    "mov r1, r4\n"

/* One rounding, see core/requant_lane.h; `shift` takes the channel's factor off the sum, but for the 2. */
#define QMCU_ONCE(a, shift) \
    "ldm r0!, {r2, r3, r12, lr}\n" \
    "add.w " #a ", r2, " #a ", " shift "\n" \
    "smmla " #a ", " #a ", r3, r12\n" \
    "asr.w " #a ", " #a ", lr\n" \
    "ssat " #a ", #8, " #a "\n"

/* The flags tell whether it was the last group of eight: then equal. */
#define QMCU_STORE_EIGHT \
    QMCU_PUT(1, r0) QMCU_GET(r2, 5) QMCU_GET(r3, 4) \
    "bfi r4, r5, #8, #8\n" \
    "bfi r6, r7, #8, #8\n" \
    "pkhbt r4, r4, r6, lsl #16\n" \
    "bfi r8, r9, #8, #8\n" \
    "bfi r10, r11, #8, #8\n" \
    "pkhbt r8, r8, r10, lsl #16\n" \
    "str r4, [r3], #4\n" \
    "str r8, [r3], #4\n" \
    QMCU_PUT(4, r3) \
    "cmp r0, r2\n"

#endif
