/* rows_s4.c: nested weights of 4 bits times one column, on Cortex-M with DSP instructions.
 *
 * Eight channels at a time: 16 products of a word of the column take 18 cycles of a Cortex-M4. Weights 0 and 2 of
 * four are unsigned, 8 too large: sums begin with -8 times the sum of the column, times the factors of those that they
 * hold. Channels that are left over go in fours. See rows_s8.c for the rest. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "rows.h"

#define MULTIPLY(a, b, c, d, w) \
    "smlad " #d ", " #w ", r2, " #d "\n" \
    "bic.w " #w ", " #w ", #0xf000f000\n" \
    "smlad " #c ", " #w ", r2, " #c "\n" \
    "sxtb16 " #w ", " #w "\n" \
    "smlad " #b ", " #w ", r2, " #b "\n" \
    "and.w " #w ", " #w ", #0x000f000f\n" \
    "smlad " #a ", " #w ", r2, " #a "\n"

/* 68 bytes: what the entry is computed with. */
#define ONE \
    "ldr.w r3, [r1], #8\n" \
    "ldr.w r2, [r0], #4\n" \
    "ldr r12, [r1, #-4]\n" \
    MULTIPLY(r4, r5, r6, r7, r3) MULTIPLY(r8, r9, r10, r11, r12)

/* A word for four channels. */
#define FEW \
    "ldr.w r3, [r1], #4\n" \
    "ldr.w r2, [r0], #4\n" \
    MULTIPLY(r4, r5, r6, r7, r3)

/* Takes lower channels off, and requantizes. */
#define FINISH(a, b, c, d) \
    "sub.w " #d ", " #d ", " #c "\n" \
    "sub.w " #c ", " #c ", " #b "\n" \
    "sub.w " #b ", " #b ", " #a "\n" \
    QMCU_ONCE(a, "lsl #1") QMCU_ONCE(b, "asr #3") QMCU_ONCE(c, "asr #7") QMCU_ONCE(d, "asr #11")

__attribute__((naked)) void qmcu_rows_s4__dsp(uint32_t *column, const qmcu_rows_t *rows, int8_t *out)
{
    __asm__ volatile(
        QMCU_ENTER
        "ldr r8, [r0]\n"                /* the sum of the column, times -8 * 1, 1, 257, 257, twice */
        "mov r9, r0\n"
        "mov r12, #0\n"
        "sub.w r4, r12, r8, lsl #3\n"
        "mov r5, r4\n"
        "add.w r6, r4, r4, lsl #8\n"
        "mov r7, r6\n"
        "stm r9!, {r4-r7}\n"
        "stm r9!, {r4-r7}\n"
        QMCU_ROWS_BEGIN
        "and.w r6, r6, #7\n"           /* words in the first turn of the block */
        "add.w r9, r6, r6, lsl #4\n"
        "adr.w r10, 2f\n"
        "sub.w r9, r10, r9, lsl #2\n"
        "orr.w r9, r9, #1\n"
        QMCU_PUT(3, r9)
        "cmp r7, #0\n"
        "beq.w 5f\n"
        "4:\n"
        QMCU_GET(r0, 0) QMCU_GET(r2, 3)
        "sub.w r0, r0, #32\n"
        "ldm r0!, {r4-r11}\n"
        "bx r2\n"
        ".p2align 2\n"
        "1:\n"
        ".rept 8\n" ONE ".endr\n"
        "2:\n"
        QMCU_GET(r2, 2)
        "cmp r0, r2\n"
        "bne.w 1b\n"
        QMCU_GET(r0, 1)
        FINISH(r4, r5, r6, r7)
        FINISH(r8, r9, r10, r11)
        QMCU_STORE_EIGHT
        "bne.w 4b\n"
        "5:\n"                          /* what is left: four channels at a time */
        QMCU_GET(r2, 6)
        "subs r2, r2, #1\n"
        "blt.w 9f\n"
        QMCU_PUT(6, r2) QMCU_GET(r0, 0) QMCU_GET(r8, 2)
        "sub.w r0, r0, #32\n"
        "ldm r0, {r4-r7}\n"
        "add.w r0, r0, #32\n"
        "sub.w r9, r8, #32\n"           /* eight words before the end */
        "b 7f\n"
        "6:\n" FEW FEW FEW FEW FEW FEW FEW FEW
        "7:\n"
        "cmp r0, r9\n"
        "bls 6b\n"
        "b 8f\n"
        "3:\n" FEW FEW
        "8:\n"
        "cmp r0, r8\n"
        "bne 3b\n"
        QMCU_GET(r0, 1)
        FINISH(r4, r5, r6, r7)
        QMCU_PUT(1, r0) QMCU_GET(r3, 4)
        "strb r4, [r3], #1\n"
        "strb r5, [r3], #1\n"
        "strb r6, [r3], #1\n"
        "strb r7, [r3], #1\n"
        QMCU_PUT(4, r3)
        "b 5b\n"
        "9:\n"
        QMCU_LEAVE);
}

#endif
