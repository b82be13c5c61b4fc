/* outer_tile_i2.c: weights of 2 bits times two groups of three pixels, on Cortex-M with DSP instructions.
 *
 * A word of weights takes 38 cycles of a Cortex-M4 for 96 products; see outer_tile_i4.c. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#pragma GCC diagnostic ignored "-Wunused-parameter"

#include "outer_tile.h"

/* Four k of four channels. */
#define WORD(place, keep, step) \
    OUTER_LOAD_WEIGHTS(place, 4) keep \
    OUTER_PAIRS("", ", ror #4") \
    OUTER_LOAD(4) \
    OUTER_PAIRS(", ror #8", ", ror #12") \
    OUTER_LOAD(4) \
    OUTER_PAIRS(", ror #16", ", ror #20") \
    OUTER_LOAD(step) \
    OUTER_PAIRS(", ror #24", ", ror #28")

/* Four k of three columns: three words of weights. */
#define WINDOW(a, b, c, keep, step, column_2, column_3) \
    OUTER_COLUMNS_01_WEIGHTS(a, 4) OUTER_PAIRS("", ", ror #4") \
    OUTER_COLUMN_2(60) OUTER_PAIRS_SWAPPED(", ror #8", ", ror #12") \
    OUTER_COLUMN_3(92) OUTER_PAIRS(", ror #16", ", ror #20") \
    OUTER_COLUMNS_01(4) OUTER_PAIRS(", ror #24", ", ror #28") \
    OUTER_COLUMN_2_WEIGHTS(60, b) OUTER_PAIRS_SWAPPED("", ", ror #4") \
    OUTER_COLUMN_3(92) OUTER_PAIRS(", ror #8", ", ror #12") \
    OUTER_COLUMNS_01(4) OUTER_PAIRS(", ror #16", ", ror #20") \
    OUTER_COLUMN_2(60) OUTER_PAIRS_SWAPPED(", ror #24", ", ror #28") \
    OUTER_COLUMN_3_WEIGHTS(92, c) keep OUTER_PAIRS("", ", ror #4") \
    OUTER_COLUMNS_01(step) OUTER_PAIRS(", ror #8", ", ror #12") \
    OUTER_COLUMN_2(column_2) OUTER_PAIRS_SWAPPED(", ror #16", ", ror #20") \
    OUTER_COLUMN_3(column_3) OUTER_PAIRS(", ror #24", ", ror #28")

/* An accumulator is 60 bits: 30 of each channel. */
#define ALIGN(lo, hi) \
    "lsl.w " #hi ", " #hi ", #2\n" \
    "orr.w " #hi ", " #hi ", " #lo ", lsr #30\n"
#define ALIGN_ALL ALIGN(r4, r5) ALIGN(r6, r7) ALIGN(r8, r9) ALIGN(r10, r11)

/* Outputs of a field of both groups, in the halves of `to`. */
#define LINE(to, temporary, a, b, place) \
    "ubfx " #to ", " #a ", #" #place ", #10\n" \
    "ubfx " #temporary ", " #b ", #" #place ", #10\n" \
    "smlawb " #to ", r1, " #to ", r2\n" \
    "smlawb " #temporary ", r1, " #temporary ", r2\n" \
    "usat " #to ", #4, " #to ", asr #12\n" \
    "usat " #temporary ", #4, " #temporary ", asr #12\n" \
    "orr.w " #to ", " #to ", " #temporary ", lsl #16\n"
#define LINE_JOINED(a, b, place, to, shift) \
    LINE(r12, r6, a, b, place) \
    "orr.w " #to ", " #to ", r12, lsl #" #shift "\n"
#define CHANNEL(a, b, shift) \
    "ldm r0!, {r1, r2}\n" \
    LINE_JOINED(a, b, 0, lr, shift) LINE_JOINED(a, b, 10, r3, shift) LINE_JOINED(a, b, 20, r4, shift)

/* The same by a lane: two channels whose fields are in r4 and r6, and in r5 and r7; pixels 0 and 3 come to r10, 1
 * and 4 to r11, 2 and 5 to lr. */
#define LANE(a, b, place) \
    "ubfx r8, " #a ", #" #place ", #10\n" \
    "ubfx r9, " #b ", #" #place ", #10\n" \
    OUTER_REQUANT(r8) OUTER_REQUANT(r9) \
    "pkhbt r8, r8, r9, lsl #16\n"
#define LIMITED(to, bits) "usat16 " #to ", #" #bits ", r8\n"
#define JOINED(to, bits, shift) LIMITED(r8, bits) "orr.w " #to ", " #to ", r8, lsl #" #shift "\n"

/* By a line of any q. */
#define ANY_LINE(a, b, place) \
    "ubfx r8, " #a ", #" #place ", #10\n" \
    "ubfx r9, " #b ", #" #place ", #10\n" \
    "smlawb r8, r1, r8, r2\n" \
    "smlawb r9, r1, r9, r2\n" \
    "asr.w r8, r8, r3\n" \
    "asr.w r9, r9, r3\n" \
    "pkhbt r8, r8, r9, lsl #16\n"

/* All pixels of a channel: of the first one, and of others beside it. */
#define CHANNEL_BEGIN \
    OUTER_LOAD_CONSTANTS "ldm r0!, {r1-r3, r12}\n" OUTER_KEEP_CONSTANTS \
    "cmp.w r12, #0\n" \
    "beq.w 51f\n"
#define CHANNEL_FIRST(a, b, bits) \
    CHANNEL_BEGIN \
    LANE(a, b, 0) LIMITED(r10, bits) LANE(a, b, 10) LIMITED(r11, bits) LANE(a, b, 20) LIMITED(lr, bits) \
    "b.w 52f\n" \
    "51:\n" \
    ANY_LINE(a, b, 0) LIMITED(r10, bits) ANY_LINE(a, b, 10) LIMITED(r11, bits) ANY_LINE(a, b, 20) LIMITED(lr, bits) \
    "52:\n"
#define CHANNEL_JOINED(a, b, bits, shift) \
    CHANNEL_BEGIN \
    LANE(a, b, 0) JOINED(r10, bits, shift) LANE(a, b, 10) JOINED(r11, bits, shift) \
    LANE(a, b, 20) JOINED(lr, bits, shift) \
    "b.w 52f\n" \
    "51:\n" \
    ANY_LINE(a, b, 0) JOINED(r10, bits, shift) ANY_LINE(a, b, 10) JOINED(r11, bits, shift) \
    ANY_LINE(a, b, 20) JOINED(lr, bits, shift) \
    "52:\n"

__attribute__((naked)) void qmcu_outer_tile_i2__dsp(const qmcu_outer_tile_t *tile)
{
    __asm__ volatile(
        OUTER_ENTER(8, 0x0003, 0xC000)
        OUTER_BEGIN
        "20:\n"
        WORD(4], "", 4) WORD(8], "", 36)
        "21:\n"
        WORD(12], "", 4) WORD(16], "", 36)
        "22:\n"
        WORD(20], "", 4) WORD(24]!, OUTER_KEEP_WEIGHTS, 36)
        OUTER_LOOP(20)
        "40:\n"
        OUTER_FINISH
        "beq.w 8f\n"
        "bcc.w 7f\n"

        ALIGN_ALL
        "movw r12, #0x0200\n"
        "movt r12, #0x2008\n"
        "ldm r0!, {r1-r3}\n"
        OUTER_KEEP_CONSTANTS
        OUTER_STEPS(r4, r0, lr) OUTER_STEPS(r6, r0, lr)
        OUTER_LOAD_CONSTANTS
        "lsr.w r4, r4, #9\n"
        "lsr.w r6, r6, #9\n"
        "ldm r0!, {r1-r3}\n"
        OUTER_KEEP_CONSTANTS
        OUTER_STEPS(r5, r0, lr) OUTER_STEPS(r7, r0, lr)
        OUTER_LOAD_CONSTANTS
        "orr.w r4, r4, r5, lsr #7\n"
        "orr.w r6, r6, r7, lsr #7\n"
        "ldm r0!, {r1-r3}\n"
        OUTER_STEPS(r8, r5, lr) OUTER_STEPS(r10, r5, lr)
        "orr.w r4, r4, r8, lsr #5\n"
        "ldm r0!, {r1-r3}\n"
        "orr.w r6, r6, r10, lsr #5\n"
        OUTER_KEEP_CONSTANTS
        OUTER_STEPS(r9, r5, lr) OUTER_STEPS(r11, r5, lr)
        OUTER_LOAD_OUT
        "orr.w r4, r4, r9, lsr #3\n"
        "add.w r3, r0, r1\n"
        "strb r4, [r0]\n"
        "lsr.w r5, r4, #10\n"
        "add.w r12, r3, r1\n"
        "strb r5, [r3]\n"
        "lsr.w r4, r4, #20\n"
        "add.w r3, r0, r2\n"
        "strb.w r4, [r12]\n"
        "orr.w r6, r6, r11, lsr #3\n"
        "add.w r12, r3, r1\n"
        "strb r6, [r3]\n"
        "lsr.w r5, r6, #10\n"
        "add.w r3, r12, r1\n"
        "strb.w r5, [r12]\n"
        "lsr.w r6, r6, #20\n"
        "add.w r0, r0, #1\n"
        "strb r6, [r3]\n"
        OUTER_KEEP_OUT
        "bne.w 1b\n"
        OUTER_LEAVE

        "7:\n" /* pixels 0 and 3 come to the halves of lr, 1 and 4 of r3, 2 and 5 of r4 */
        ALIGN_ALL
        "ldm r0!, {r1, r2}\n"
        LINE(lr, r12, r4, r6, 0) LINE(r3, r12, r4, r6, 10) LINE(r4, r6, r4, r6, 20)
        CHANNEL(r5, r7, 4) CHANNEL(r8, r10, 8) CHANNEL(r9, r11, 12)
        OUTER_KEEP_CONSTANTS
        "6:\n"
        "mov r7, r3\n"
        OUTER_LOAD_OUT
        "add.w r5, r0, r1\n"
        "strh.w lr, [r0]\n"
        "add.w r6, r5, r1\n"
        "strh r7, [r5]\n"
        "add.w r5, r0, r2\n"
        "strh r4, [r6]\n"
        "lsr.w lr, lr, #16\n"
        "add.w r6, r5, r1\n"
        "strh.w lr, [r5]\n"
        "lsr.w r7, r7, #16\n"
        "add.w r5, r6, r1\n"
        "strh r7, [r6]\n"
        "lsr.w r4, r4, #16\n"
        "add.w r0, r0, #2\n"
        "strh r4, [r5]\n"
        OUTER_KEEP_OUT
        "bne.w 1b\n"
        OUTER_LEAVE

        "8:\n"
        "bcc.w 9f\n"
        ALIGN_ALL
        "str.w r8, [sp, #64]\n"
        "str.w r9, [sp, #68]\n"
        "str.w r10, [sp, #72]\n"
        "str.w r11, [sp, #76]\n"
        "ldr r1, [sp, #60]\n"
        "cmp r1, #2\n"
        "bne.w 10f\n"
        CHANNEL_FIRST(r4, r6, 4)
        CHANNEL_JOINED(r5, r7, 4, 4)
        "ldr r4, [sp, #64]\n"
        "ldr r5, [sp, #68]\n"
        "ldr r6, [sp, #72]\n"
        "ldr r7, [sp, #76]\n"
        CHANNEL_JOINED(r4, r6, 4, 8)
        CHANNEL_JOINED(r5, r7, 4, 12)
        "mov r3, r11\n"
        "mov r4, lr\n"
        "mov lr, r10\n"
        "b.w 6b\n"
        "10:\n"
        "mov.w r2, #2\n"
        "11:\n" /* two channels, then the other two */
        "str r2, [sp, #80]\n"
        CHANNEL_FIRST(r4, r6, 8)
        CHANNEL_JOINED(r5, r7, 8, 8)
        "ldr r0, [sp, #36]\n"
        "ldr r1, [sp, #40]\n"
        "ldr r2, [sp, #44]\n"
        "eor.w r10, r10, #0x80808080\n"
        "eor.w r11, r11, #0x80808080\n"
        "eor.w lr, lr, #0x80808080\n"
        "add.w r3, r0, r1\n"
        "strh.w r10, [r0]\n"
        "add.w r4, r3, r1\n"
        "strh.w r11, [r3]\n"
        "add.w r2, r2, r0\n"
        "strh.w lr, [r4]\n"
        "lsr.w r10, r10, #16\n"
        "add.w r3, r2, r1\n"
        "strh.w r10, [r2]\n"
        "lsr.w r11, r11, #16\n"
        "add.w r4, r3, r1\n"
        "strh.w r11, [r3]\n"
        "lsr.w lr, lr, #16\n"
        "add.w r0, r0, #2\n"
        "strh.w lr, [r4]\n"
        OUTER_KEEP_OUT
        "ldr r2, [sp, #80]\n"
        "ldr r4, [sp, #64]\n"
        "ldr r5, [sp, #68]\n"
        "ldr r6, [sp, #72]\n"
        "ldr r7, [sp, #76]\n"
        "subs r2, r2, #1\n"
        "bne.w 11b\n"
        "ldr r3, [sp, #12]\n"
        "subs r3, r3, #1\n"
        "str r3, [sp, #12]\n"
        "bne.w 1b\n"
        OUTER_LEAVE
        "9:\n"
        OUTER_STORE_FIELDS
        "bne.w 1b\n"
        OUTER_LEAVE
        OUTER_ENTRIES
        "30:\n"
        WINDOW(4], 8], 12], "", 4, 60, 92) WINDOW(16], 20], 24]!, OUTER_KEEP_WEIGHTS, 100, -36, -4)
        OUTER_LOOP(30)
        "b.w 40b\n");
}

#endif
