/* tile_step.h: a step of a tile: a word of two columns times the nested weights of four channels, in assembly.
 *
 * Registers: r0 the columns, r1 the weights, both moved on; r2 to r5 become free; the sums of channel c are r(6 + 2c) of
 * the first pixel and r(7 + 2c) of the second, lr the last one. */
#ifndef QMCU_NATIVE_CORTEXM_DSP_TILE_STEP_H
#define QMCU_NATIVE_CORTEXM_DSP_TILE_STEP_H

#define QMCU_TILE_LOAD \
    "ldr.w r4, [r1], #4\n" \
    "ldr.w r2, [r0], #4\n" \
    "ldr.w r5, [r1], #4\n" \
    "ldr.w r3, [r0], #4\n"

/* 56 bytes: what the entry is computed with. */
#define QMCU_TILE_STEP \
    QMCU_TILE_LOAD \
    "smlad r8, r4, r2, r8\n" \
    "smlad r9, r4, r3, r9\n" \
    "sxtb16 r4, r4\n" \
    "smlad r6, r4, r2, r6\n" \
    "smlad r7, r4, r3, r7\n" \
    "smlad r12, r5, r2, r12\n" \
    "smlad lr, r5, r3, lr\n" \
    "sxtb16 r5, r5\n" \
    "smlad r10, r5, r2, r10\n" \
    "smlad r11, r5, r3, r11\n"

#endif
