/* tiles_line.c: nested weights of 8 bits times two columns, requantized along lines, on Cortex-M with DSP instructions.
 *
 * As tiles_s8.c, whose steps these are, but each group meets all pairs before the next one begins, so that what is read
 * from flash is read once for all of them. Constants lie where the pointer to the weights gets to when they are needed,
 * and biases of odd channels are what their sums start from: three operations for an even channel's output, two for an
 * odd one's. Columns of at most 14 words take one turn of a block of steps, entered where they begin; others have a
 * block of their own, with which the loop stays below 1 KB of code. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "assembly.h"
#include "tile_step.h"

/* The sums of channel c are r(6 + 2c) of the first pixel and r(7 + 2c) of the second, lr the last one. No load's base is
 * what the load before it has updated: those do not pipeline. */
#define BEGIN \
    QMCU_GET(r1, 1) \
    "ldr.w r2, [r0], #4\n" \
    "ldr.w r8, [r1], #16\n" \
    "ldr.w r3, [r0], #4\n" \
    "ldr r12, [r1, #-12]\n" \
    "ldr r4, [r1, #-8]\n" \
    "ldr r5, [r1, #-4]\n" \
    "smlad r9, r4, r3, r8\n" \
    "smlad r8, r4, r2, r8\n" \
    "sxtb16 r4, r4\n" \
    "smuad r6, r4, r2\n" \
    "smuad r7, r4, r3\n" \
    "smlad lr, r5, r3, r12\n" \
    "smlad r12, r5, r2, r12\n" \
    "sxtb16 r5, r5\n" \
    "smuad r10, r5, r2\n" \
    "smuad r11, r5, r3\n" \
    QMCU_GET(r2, 3) \
    "bx r2\n"

/* An even and an odd channel of both pixels; of the odd one the sums hold the even one's, too. */
#define TWO_CHANNELS(even_a, even_b, odd_a, odd_b) \
    "ldm r1!, {r2-r4}\n" \
    "sub.w " #odd_a ", " #odd_a ", " #even_a "\n" \
    "sub.w " #odd_b ", " #odd_b ", " #even_b "\n" \
    "add.w " #even_a ", r2, " #even_a ", lsl #8\n" \
    "add.w " #even_b ", r2, " #even_b ", lsl #8\n" \
    "smmul " #even_a ", " #even_a ", r3\n" \
    "smmul " #even_b ", " #even_b ", r3\n" \
    "smmul " #odd_a ", " #odd_a ", r4\n" \
    "smmul " #odd_b ", " #odd_b ", r4\n" \
    "ssat " #even_a ", #8, " #even_a ", asr #10\n" \
    "ssat " #even_b ", #8, " #even_b ", asr #10\n" \
    "ssat " #odd_a ", #8, " #odd_a ", asr #10\n" \
    "ssat " #odd_b ", #8, " #odd_b ", asr #10\n"

/* A pair from the end of its steps on. After the last pair, flags are equal. */
#define FINISH \
    TWO_CHANNELS(r6, r7, r8, r9) \
    TWO_CHANNELS(r10, r11, r12, lr) \
    QMCU_GET(r2, 4) QMCU_GET(r3, 5) QMCU_GET(r4, 6) \
    "bfi r6, r8, #8, #8\n" \
    "bfi r10, r12, #8, #8\n" \
    "pkhbt r6, r6, r10, lsl #16\n" \
    "bfi r7, r9, #8, #8\n" \
    "bfi r11, lr, #8, #8\n" \
    "pkhbt r7, r7, r11, lsl #16\n" \
    "str r6, [r2]\n" \
    "str r7, [r2, r3]\n" \
    "add.w r2, r2, r3, lsl #1\n" \
    "cmp r0, r4\n" \
    QMCU_PUT(4, r2)

/* The entry into a block of steps that ends at `label`, for r6 steps. */
#define ENTRY(label) \
    "adr.w r9, " label "\n" \
    "rsb r6, r6, r6, lsl #3\n" \
    "sub.w r9, r9, r6, lsl #3\n" \
    "orr.w r9, r9, #1\n" \
    QMCU_PUT(3, r9)

/* The next group of the same pairs; after the last one, flags are equal. */
#define NEXT_GROUP \
    QMCU_GET(r3, 7) QMCU_GET(r4, 8) QMCU_GET(r0, 0) \
    QMCU_PUT(1, r1) \
    "add.w r3, r3, #4\n" \
    "cmp r3, r4\n" \
    QMCU_PUT(7, r3) QMCU_PUT(4, r3)

/* Slots: 0 the columns; 1 the group's weights; 2 in a group of many words, the end of their weights; 3 the entry; 4 and 7
 * where outputs of the pair and of the first pair go; 5 from pixel to pixel; 6 the end of all columns; 8 the end of the
 * first pixel's outputs; 9 bytes from one of these ends of weights to the next. */
__attribute__((naked)) void qmcu_tiles_line__dsp(const uint32_t *columns, const qmcu_tiles_t *tiles, int8_t *a,
                                                  int8_t *b, int32_t pairs)
{
    __asm__ volatile(
        QMCU_ENTER
        QMCU_PUT(4, r2) QMCU_PUT(7, r2)
        "sub.w r3, r3, r2\n"
        QMCU_PUT(5, r3)
        "ldm r1, {r1, r5-r7}\n"          /* weights, lanes, words, groups */
        QMCU_PUT(0, r0) QMCU_PUT(1, r1)
        "add.w r7, r2, r7, lsl #2\n"
        QMCU_PUT(8, r7)
        "ldr r5, [sp, " QMCU_ARGUMENT(4) "]\n"
        "lsl.w r8, r6, #3\n"
        "mla r5, r5, r8, r0\n"
        QMCU_PUT(6, r5)
        "sub.w r6, r6, #1\n"
        "cmp r6, #13\n"
        "bhi.w 7f\n"
        ENTRY("2f")
        "1:\n"
        BEGIN
        ".p2align 2\n"
        ".rept 13\n" QMCU_TILE_STEP ".endr\n"
        "2:\n"
        FINISH
        "bne.w 1b\n"
        NEXT_GROUP
        "bne.w 1b\n"
        QMCU_LEAVE
        "7:\n"                          /* steps in the first turn of the block: 1 to 12 */
        "add.w r9, r8, #8\n"
        "add.w r9, r9, r1\n"
        QMCU_PUT(2, r9)
        "add.w r8, r8, #32\n"
        QMCU_PUT(9, r8)
        "sub.w r6, r6, #1\n"
        "mov.w r10, #12\n"
        "udiv r11, r6, r10\n"
        "mls r6, r11, r10, r6\n"
        "add.w r6, r6, #1\n"
        ENTRY("5f")
        "8:\n"
        BEGIN
        ".p2align 2\n"
        "4:\n"
        ".rept 12\n" QMCU_TILE_STEP ".endr\n"
        "5:\n"
        QMCU_GET(r2, 2)
        "cmp r1, r2\n"
        "blo.w 4b\n"
        FINISH
        "bne.w 8b\n"
        QMCU_GET(r5, 9)
        QMCU_GET(r6, 2)
        "add.w r6, r6, r5\n"
        QMCU_PUT(2, r6)
        NEXT_GROUP
        "bne.w 8b\n"
        QMCU_LEAVE);
}

#endif
