/* tiles_s4.c: nested weights of 4 bits times two columns, on Cortex-M with DSP instructions.
 *
 * A word of weights and one of each column make 16 products in 15 cycles of a Cortex-M4: 4 for the loads, 8 SMLAD and 3
 * operations that take a channel off the weights. Weights 0 and 2 are unsigned, 8 too large: sums begin with -8 times
 * the sum of the column, times the factors of those that they hold. See tiles_s8.c for the rest. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "tiles.h"

#define LOAD \
    "ldr.w r2, [r0], #4\n" \
    "ldr.w r4, [r1], #4\n" \
    "ldr.w r3, [r0], #4\n"

/* From all four channels down to one. In the first step the sums of channels 3 and 1 begin as those of 2 and 0 do. */
#define MULTIPLY(r12, lr, r8, r9) \
    "smlad r12, r4, r2, " #r12 "\n" \
    "smlad lr, r4, r3, " #lr "\n" \
    "bic.w r4, r4, #0xf000f000\n" \
    "smlad r10, r4, r2, r10\n" \
    "smlad r11, r4, r3, r11\n" \
    "sxtb16 r4, r4\n" \
    "smlad r8, r4, r2, " #r8 "\n" \
    "smlad r9, r4, r3, " #r9 "\n" \
    "and.w r4, r4, #0x000f000f\n" \
    "smlad r6, r4, r2, r6\n" \
    "smlad r7, r4, r3, r7\n"

#define STEP LOAD MULTIPLY(r12, lr, r8, r9) /* 56 bytes: what the entry is computed with */

#define BEGIN \
    QMCU_GET(r0, 7) \
    "ldm r0, {r6, r7, r10, r11}\n" \
    QMCU_GET(r0, 0) \
    LOAD MULTIPLY(r10, r11, r6, r7) \
    QMCU_GET(r2, 3) \
    "bx r2\n"

#define FINISH(sign) \
    QMCU_GET(r0, 1) \
    "sub.w r12, r12, r10\n" \
    "sub.w lr, lr, r11\n" \
    "sub.w r10, r10, r8\n" \
    "sub.w r11, r11, r9\n" \
    "sub.w r8, r8, r6\n" \
    "sub.w r9, r9, r7\n" \
    QMCU_CHANNEL(r6, r7, "lsl #1", sign) \
    QMCU_CHANNEL(r8, r9, "asr #3", sign) \
    QMCU_CHANNEL(r10, r11, "asr #7", sign) \
    QMCU_CHANNEL(r12, lr, "asr #11", sign) \
    QMCU_STORE

__attribute__((naked)) void qmcu_tiles_s4__dsp(const uint32_t *columns, const qmcu_tiles_t *tiles, int8_t *a,
                                                int8_t *b)
{
    __asm__ volatile(
        QMCU_ENTER
        QMCU_PUT(4, r2) QMCU_PUT(5, r3)
        "ldm r1, {r1, r5-r8, r10}\n"       /* weights, lanes, words, groups, is_rectified, sums */
        QMCU_PUT(0, r0) QMCU_PUT(1, r5) QMCU_PUT(7, r10)
        "add.w r9, r0, r6, lsl #3\n"       /* the end of the columns; a word less where they finish without the sign */
        "sub.w r9, r9, r8, lsl #2\n"
        QMCU_PUT(2, r9)
        "add.w r7, r5, r7, lsl #6\n"
        QMCU_PUT(6, r7)
        "subs r6, r6, #2\n"                /* steps in the first turn of the block: 1 to 12, or none at all */
        "mov.w r12, #12\n"
        "itt ge\n"
        "udivge r11, r6, r12\n"
        "mlsge r6, r11, r12, r6\n"
        "add.w r6, r6, #1\n"
        "adr.w r9, 2f\n"
        "rsb r6, r6, r6, lsl #3\n"
        "sub.w r9, r9, r6, lsl #3\n"
        "orr.w r9, r9, #1\n"
        QMCU_PUT(3, r9)
        "ldm r10, {r4, r5}\n"              /* the sums of both columns, times -8 * 1 and 257 */
        "mov r12, #0\n"
        "sub.w r4, r12, r4, lsl #3\n"
        "sub.w r5, r12, r5, lsl #3\n"
        "add.w r6, r4, r4, lsl #8\n"
        "add.w r7, r5, r5, lsl #8\n"
        "stm r10, {r4-r7}\n"
        BEGIN
        ".p2align 2\n"
        "1:\n"
        ".rept 12\n" STEP ".endr\n"
        "2:\n"
        QMCU_GET(r2, 2)
        "cmp r0, r2\n"
        "blo.w 1b\n"
        "beq.w 4f\n"
        FINISH(QMCU_NO_SIGN)
        "beq.w 5f\n"
        BEGIN
        "4:\n"
        FINISH(QMCU_SIGN)
        "beq.w 5f\n"
        BEGIN
        "5:\n"
        QMCU_LEAVE);
}

#endif
