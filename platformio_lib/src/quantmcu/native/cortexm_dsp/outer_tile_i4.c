/* outer_tile_i4.c: weights of 4 bits times two groups of two pixels, on Cortex-M with DSP instructions.
 *
 * A word of weights takes 20 cycles of a Cortex-M4 for 32 products: it and four words of pixels are loaded, four
 * AND unpack pairs of weights, eight UMLAL multiply. Eight registers are accumulators: with two words of pixels, a
 * pair, the word of weights, a mask and one pointer there is none left, so the other pointer stays on the stack. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#pragma GCC diagnostic ignored "-Wunused-parameter"

#include "outer_tile.h"

/* Two k of four channels. */
#define WORD(place, keep, step) \
    OUTER_LOAD_WEIGHTS(place, 4) keep \
    OUTER_PAIRS("", ", ror #8") \
    OUTER_LOAD(step) \
    OUTER_PAIRS(", ror #16", ", ror #24")

/* Two k of three columns: three words of weights. */
#define WINDOW(a, b, c, keep, step, column_2, column_3) \
    OUTER_COLUMNS_01_WEIGHTS(a, 4) OUTER_PAIRS("", ", ror #8") \
    OUTER_COLUMN_2(60) OUTER_PAIRS_SWAPPED(", ror #16", ", ror #24") \
    OUTER_COLUMN_3_WEIGHTS(92, b) OUTER_PAIRS("", ", ror #8") \
    OUTER_COLUMNS_01(step) OUTER_PAIRS(", ror #16", ", ror #24") \
    OUTER_COLUMN_2_WEIGHTS(column_2, c) keep OUTER_PAIRS_SWAPPED("", ", ror #8") \
    OUTER_COLUMN_3(column_3) OUTER_PAIRS(", ror #16", ", ror #24")

/* An accumulator is 56 bits: 28 of each channel. */
#define ALIGN(lo, hi) \
    "lsl.w " #hi ", " #hi ", #4\n" \
    "orr.w " #hi ", " #hi ", " #lo ", lsr #28\n"

/* Two fields of 14 bits become outputs, in the halves of a; the odd channel's fields are 2 bits further up. `raised`
 * makes of a line's value in lr one with a q of 16. */
#define LINES(lo, hi, raised, q) \
    "lsl.w " #hi ", " #hi ", #6\n" \
    "orr.w " #hi ", " #hi ", " #lo ", lsr #26\n" \
    "ubfx lr, " #lo ", #14, #14\n" \
    "ubfx " #lo ", " #lo ", #0, #14\n" \
    "smlawb lr, r1, lr, r2\n" \
    "smlawb " #lo ", r1, " #lo ", r2\n" \
    raised \
    "pkhtb " #lo ", lr, " #lo ", asr #" #q "\n" \
    "smlawt lr, r3, " #hi ", r12\n" \
    "ubfx " #hi ", " #hi ", #2, #14\n" \
    "smlawb " #hi ", r3, " #hi ", r12\n" \
    "usat16 " #lo ", #4, " #lo "\n" \
    raised \
    "pkhtb " #hi ", lr, " #hi ", asr #" #q "\n" \
    "usat16 " #hi ", #4, " #hi "\n" \
    "orr.w " #lo ", " #lo ", " #hi ", lsl #4\n"
#define ALL_LINES(raised, q) \
    "ldm r0!, {r1-r3, r12}\n" \
    LINES(r4, r5, raised, q) LINES(r6, r7, raised, q) \
    "ldm r0!, {r1-r3, r12}\n" \
    OUTER_KEEP_CONSTANTS \
    LINES(r8, r9, raised, q) LINES(r10, r11, raised, q)

/* The same by a lane. */
#define LANE(a) \
    "ubfx lr, " #a ", #14, #14\n" \
    "ubfx " #a ", " #a ", #0, #14\n" \
    OUTER_REQUANT(lr) OUTER_REQUANT(a) \
    "pkhbt " #a ", " #a ", lr, lsl #16\n"

/* By a line of any q. */
#define ANY_LINE(a) \
    "ubfx lr, " #a ", #14, #14\n" \
    "ubfx " #a ", " #a ", #0, #14\n" \
    "smlawb lr, r1, lr, r2\n" \
    "smlawb " #a ", r1, " #a ", r2\n" \
    "asr.w lr, lr, r3\n" \
    "asr.w " #a ", " #a ", r3\n" \
    "pkhbt " #a ", " #a ", lr, lsl #16\n"
#define CHANNEL(a, b) \
    OUTER_LOAD_CONSTANTS "ldm r0!, {r1-r3, r12}\n" OUTER_KEEP_CONSTANTS \
    "cmp.w r12, #0\n" \
    "beq.w 51f\n" \
    LANE(a) LANE(b) \
    "b.w 52f\n" \
    "51:\n" \
    ANY_LINE(a) ANY_LINE(b) \
    "52:\n"

/* Limits outputs of two channels, and joins them. */
#define JOIN(a, b, bits) \
    "usat16 " #a ", #" #bits ", " #a "\n" \
    "usat16 " #b ", #" #bits ", " #b "\n" \
    "orr.w " #a ", " #a ", " #b ", lsl #" #bits "\n"

__attribute__((naked)) void qmcu_outer_tile_i4__dsp(const qmcu_outer_tile_t *tile)
{
    __asm__ volatile(
        OUTER_ENTER(16, 0x000F, 0xF000)
        OUTER_BEGIN
        "20:\n"
        WORD(4], "", 4) WORD(8], "", 4) WORD(12], "", 4) WORD(16], "", 36)
        "21:\n"
        WORD(20], "", 4) WORD(24], "", 4) WORD(28], "", 4) WORD(32], "", 36)
        "22:\n"
        WORD(36], "", 4) WORD(40], "", 4) WORD(44], "", 4) WORD(48]!, OUTER_KEEP_WEIGHTS, 36)
        OUTER_LOOP(20)
        "40:\n"
        OUTER_FINISH
        "beq.w 7f\n"
        "bcs.w 10f\n"
        ALL_LINES("", 16)
        "6:\n"
        OUTER_LOAD_OUT
        "orr.w r4, r4, r8, lsl #8\n"
        "orr.w r6, r6, r10, lsl #8\n"
        "add.w r3, r0, r1\n"
        "add.w r12, r0, r2\n"
        "strh r4, [r0], #2\n"
        "lsr.w r4, r4, #16\n"
        "add.w r1, r1, r12\n"
        "strh r4, [r3]\n"
        "strh.w r6, [r12]\n"
        "lsr.w r6, r6, #16\n"
        "strh r6, [r1]\n"
        OUTER_KEEP_OUT
        "bne.w 1b\n"
        OUTER_LEAVE
        "7:\n"
        "bcc.w 8f\n"
        ALIGN(r4, r5) ALIGN(r6, r7) ALIGN(r8, r9) ALIGN(r10, r11)
        CHANNEL(r4, r6) CHANNEL(r5, r7) CHANNEL(r8, r10) CHANNEL(r9, r11)
        "ldr r1, [sp, #60]\n"
        "cmp r1, #2\n"
        "bne.w 9f\n"
        JOIN(r4, r5, 4) JOIN(r6, r7, 4) JOIN(r8, r9, 4) JOIN(r10, r11, 4)
        "b.w 6b\n"
        "9:\n"
        JOIN(r4, r5, 8) JOIN(r6, r7, 8) JOIN(r8, r9, 8) JOIN(r10, r11, 8)
        OUTER_LOAD_OUT
        "pkhtb r5, r8, r4, asr #16\n"
        "pkhbt r4, r4, r8, lsl #16\n"
        "pkhtb r7, r10, r6, asr #16\n"
        "pkhbt r6, r6, r10, lsl #16\n"
        "eor.w r4, r4, #0x80808080\n"
        "eor.w r5, r5, #0x80808080\n"
        "eor.w r6, r6, #0x80808080\n"
        "eor.w r7, r7, #0x80808080\n"
        "add.w r3, r0, r1\n"
        "add.w r12, r0, r2\n"
        "add.w r1, r1, r12\n"
        "str r4, [r0]\n"
        "str r5, [r3]\n"
        "str.w r6, [r12]\n"
        "str r7, [r1]\n"
        "add.w r0, r0, #4\n"
        OUTER_KEEP_OUT
        "bne.w 1b\n"
        OUTER_LEAVE
        "10:\n"
        ALL_LINES("lsl.w lr, lr, #2\n", 14)
        "b.w 6b\n"
        "8:\n"
        OUTER_STORE_FIELDS
        "bne.w 1b\n"
        OUTER_LEAVE
        OUTER_ENTRIES
        "30:\n"
        WINDOW(4], 8], 12], "", 4, 60, 92) WINDOW(16], 20], 24], "", 4, 60, 92)
        WINDOW(28], 32], 36], "", 4, 60, 92) WINDOW(40], 44], 48]!, OUTER_KEEP_WEIGHTS, 100, -36, -4)
        OUTER_LOOP(30)
        "b.w 40b\n");
}

#endif
