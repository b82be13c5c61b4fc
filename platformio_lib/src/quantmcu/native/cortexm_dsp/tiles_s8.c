/* tiles_s8.c: nested weights of 8 bits times two columns, on Cortex-M with DSP instructions.
 *
 * Two words of weights and one of each column make 16 products in 15 cycles of a Cortex-M4: 5 for the loads, 8 SMLAD
 * and 2 SXTB16. The first step of a group starts the sums; the others run through a block of 11 steps, which is entered
 * where the rest of them begins. With what finishes a group this is 1 KB of code, which small caches before flash hold.
 * Four channels and two pixels are what 14 registers hold. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "tile_step.h"
#include "tiles.h"

#define BEGIN \
    QMCU_GET(r0, 0) \
    QMCU_TILE_LOAD \
    "smuad r8, r4, r2\n" \
    "smuad r9, r4, r3\n" \
    "sxtb16 r4, r4\n" \
    "smuad r6, r4, r2\n" \
    "smuad r7, r4, r3\n" \
    "smuad r12, r5, r2\n" \
    "smuad lr, r5, r3\n" \
    "sxtb16 r5, r5\n" \
    "smuad r10, r5, r2\n" \
    "smuad r11, r5, r3\n" \
    QMCU_GET(r2, 3) \
    "bx r2\n"

#define FINISH(sign) \
    QMCU_GET(r0, 1) \
    "sub.w r8, r8, r6\n" \
    "sub.w r9, r9, r7\n" \
    "sub.w r12, r12, r10\n" \
    "sub.w lr, lr, r11\n" \
    QMCU_CHANNEL(r6, r7, "lsl #1", sign) \
    QMCU_CHANNEL(r8, r9, "asr #7", sign) \
    QMCU_CHANNEL(r10, r11, "lsl #1", sign) \
    QMCU_CHANNEL(r12, lr, "asr #7", sign) \
    QMCU_STORE

__attribute__((naked)) void qmcu_tiles_s8__dsp(const uint32_t *columns, const qmcu_tiles_t *tiles, int8_t *a,
                                                int8_t *b)
{
    __asm__ volatile(
        QMCU_ENTER
        QMCU_PUT(4, r2) QMCU_PUT(5, r3)
        "ldm r1, {r1, r5-r8}\n"            /* weights, lanes, words, groups, is_rectified */
        QMCU_PUT(0, r0) QMCU_PUT(1, r5)
        "add.w r9, r0, r6, lsl #3\n"       /* the end of the columns; a word less where they finish without the sign */
        "sub.w r9, r9, r8, lsl #2\n"
        QMCU_PUT(2, r9)
        "add.w r7, r5, r7, lsl #6\n"
        QMCU_PUT(6, r7)
        "subs r6, r6, #2\n"                /* steps in the first turn of the block: 1 to 11, or none at all */
        "mov.w r10, #11\n"
        "itt ge\n"
        "udivge r11, r6, r10\n"
        "mlsge r6, r11, r10, r6\n"
        "add.w r6, r6, #1\n"
        "adr.w r9, 2f\n"
        "rsb r6, r6, r6, lsl #3\n"
        "sub.w r9, r9, r6, lsl #3\n"
        "orr.w r9, r9, #1\n"
        QMCU_PUT(3, r9)
        BEGIN
        ".p2align 2\n"
        "1:\n"
        ".rept 11\n" QMCU_TILE_STEP ".endr\n"
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
