/* outer_tile_i2x4.c: weights of 2 bits times two groups of four pixels of 2 bits, on Cortex-M with DSP instructions.
 *
 * A word of weights takes 38 cycles of a Cortex-M4 for 128 products; see outer_tile_i4.c. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#pragma GCC diagnostic ignored "-Wunused-parameter"

#include "outer_tile.h"

/* Four k of four channels. */
#define WORD(place, keep, step) \
    OUTER_LOAD_WEIGHTS(place, 4) keep \
    OUTER_PAIRS("", ", ror #2") \
    OUTER_LOAD(4) \
    OUTER_PAIRS(", ror #8", ", ror #10") \
    OUTER_LOAD(4) \
    OUTER_PAIRS(", ror #16", ", ror #18") \
    OUTER_LOAD(step) \
    OUTER_PAIRS(", ror #24", ", ror #26")

/* Four k of three columns: three words of weights. */
#define WINDOW(a, b, c, keep, step, column_2, column_3) \
    OUTER_COLUMNS_01_WEIGHTS(a, 4) OUTER_PAIRS("", ", ror #2") \
    OUTER_COLUMN_2(60) OUTER_PAIRS_SWAPPED(", ror #8", ", ror #10") \
    OUTER_COLUMN_3(92) OUTER_PAIRS(", ror #16", ", ror #18") \
    OUTER_COLUMNS_01(4) OUTER_PAIRS(", ror #24", ", ror #26") \
    OUTER_COLUMN_2_WEIGHTS(60, b) OUTER_PAIRS_SWAPPED("", ", ror #2") \
    OUTER_COLUMN_3(92) OUTER_PAIRS(", ror #8", ", ror #10") \
    OUTER_COLUMNS_01(4) OUTER_PAIRS(", ror #16", ", ror #18") \
    OUTER_COLUMN_2(60) OUTER_PAIRS_SWAPPED(", ror #24", ", ror #26") \
    OUTER_COLUMN_3_WEIGHTS(92, c) keep OUTER_PAIRS("", ", ror #2") \
    OUTER_COLUMNS_01(step) OUTER_PAIRS(", ror #8", ", ror #10") \
    OUTER_COLUMN_2(column_2) OUTER_PAIRS_SWAPPED(", ror #16", ", ror #18") \
    OUTER_COLUMN_3(column_3) OUTER_PAIRS(", ror #24", ", ror #26")

/* An accumulator is 56 bits: 28 of each channel. */
#define ALIGN(lo, hi) \
    "lsl.w " #hi ", " #hi ", #4\n" \
    "orr.w " #hi ", " #hi ", " #lo ", lsr #28\n"

/* Two channels, a and b, of a group: 4 bits of each pixel, 7 bits apart, in a. */
#define JOIN(a, b) \
    "lsr.w " #a ", " #a ", #6\n" \
    "orr.w " #a ", " #a ", " #b ", lsr #4\n"

/* The bytes of four pixels from r3 on, r1 apart: a has two channels of each, b the other two; lr picks pixels 0 and
 * 2. */
#define STORE(a, b) \
    "and.w r5, lr, " #a "\n" \
    "and.w r7, lr, " #b "\n" \
    "orr.w r5, r5, r7, lsl #4\n" \
    "and.w r7, lr, " #a ", lsr #7\n" \
    "and.w r9, lr, " #b ", lsr #7\n" \
    "strb r5, [r3]\n" \
    "add.w r3, r3, r1\n" \
    "orr.w r7, r7, r9, lsl #4\n" \
    "strb r7, [r3]\n" \
    "add.w r3, r3, r1\n" \
    "lsr.w r5, r5, #14\n" \
    "strb r5, [r3]\n" \
    "add.w r3, r3, r1\n" \
    "lsr.w r7, r7, #14\n" \
    "strb r7, [r3]\n"

__attribute__((naked)) void qmcu_outer_tile_i2x4__dsp(const qmcu_outer_tile_t *tile)
{
    __asm__ volatile(
        OUTER_ENTER(8, 0x0003, 0x3000)
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
        ALIGN(r4, r5) ALIGN(r6, r7) ALIGN(r8, r9) ALIGN(r10, r11)
        "movw r12, #0x2040\n"
        "movt r12, #0x0810\n"
        "ldm r0!, {r1-r3}\n"
        OUTER_KEEP_CONSTANTS
        OUTER_STEPS(r4, r0, lr) OUTER_STEPS(r6, r0, lr)
        OUTER_LOAD_CONSTANTS
        "ldm r0!, {r1-r3}\n"
        OUTER_KEEP_CONSTANTS
        OUTER_STEPS(r5, r0, lr) OUTER_STEPS(r7, r0, lr)
        OUTER_LOAD_CONSTANTS
        JOIN(r4, r5) JOIN(r6, r7)
        "ldm r0!, {r1-r3}\n"
        OUTER_STEPS(r8, r5, lr) OUTER_STEPS(r10, r5, lr)
        "ldm r0!, {r1-r3}\n"
        OUTER_KEEP_CONSTANTS
        OUTER_STEPS(r9, r5, lr) OUTER_STEPS(r11, r5, lr)
        JOIN(r8, r9) JOIN(r10, r11)
        "movw lr, #0xC00F\n"
        "movt lr, #0x3\n"
        OUTER_LOAD_OUT
        "mov r3, r0\n"
        STORE(r4, r8)
        "add.w r3, r0, r2\n"
        STORE(r6, r10)
        "add.w r0, r0, #1\n"
        OUTER_KEEP_OUT
        "bne.w 1b\n"
        OUTER_LEAVE
        "8:\n"
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
