/* tiles.h: requantization and stores of a tile of four channels and two pixels, in assembly.
 *
 * Registers: the sums of channel c are r(6 + 2c) of the first pixel and r(7 + 2c) of the second, lr the last one;
 * r1 points to the weights and is left alone. Slots: 1 the channels' lanes, 4 and 5 where the pixels' outputs go,
 * 6 the end of the lanes. */
#ifndef QMCU_NATIVE_CORTEXM_DSP_TILES_H
#define QMCU_NATIVE_CORTEXM_DSP_TILES_H

#include "assembly.h"

/* x = bias2 + 2 * sum, see core/requant_lane.h; r2 to r5 are the lane, and r2 becomes free. */
#define QMCU_REQUANT(a, sign) \
    "smmlar r2, " #a ", r3, r4\n" sign(a) "asr.w r2, r2, r5\n" \
    "ssat " #a ", #8, r2\n"
#define QMCU_SIGN(a) "add.w r2, r2, " #a ", asr #31\n"
#define QMCU_NO_SIGN(a)

/* A channel of both pixels; `shift` takes its factor off the sums, but for the 2. */
#define QMCU_CHANNEL(a, b, shift, sign) \
    "ldm r0!, {r2-r5}\n" \
    "add.w " #a ", r2, " #a ", " shift "\n" \
    "add.w " #b ", r2, " #b ", " shift "\n" \
    QMCU_REQUANT(a, sign) QMCU_REQUANT(b, sign)

/* Four bytes for each pixel. The flags tell whether it was the last group: then equal. */
#define QMCU_STORE \
    QMCU_PUT(1, r0) QMCU_GET(r2, 6) QMCU_GET(r3, 4) QMCU_GET(r4, 5) \
    "cmp r0, r2\n" \
    "bfi r6, r8, #8, #8\n" \
    "bfi r10, r12, #8, #8\n" \
    "pkhbt r6, r6, r10, lsl #16\n" \
    "bfi r7, r9, #8, #8\n" \
    "bfi r11, lr, #8, #8\n" \
    "pkhbt r7, r7, r11, lsl #16\n" \
    "str r6, [r3], #4\n" \
    "str r7, [r4], #4\n" \
    QMCU_PUT(4, r3) QMCU_PUT(5, r4)

#endif
