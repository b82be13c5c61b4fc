/* tiles_line.c: nested weights of 8 bits times two columns, requantized along lines, on Cortex-M with DSP instructions.
 *
 * As tiles_s8.c, whose steps these are. Constants lie where the pointer to the weights gets to when they are needed, and
 * biases of odd channels are what their sums start from: three operations for an even channel's output, two for an odd
 * one's. Columns of at most 14 words take one turn of a block of steps, entered where they begin; others have a block of
 * their own, with which the loop stays below 1 KB of code. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "slots.h"

#define LOAD \
    "ldr.w r4, [r1], #4\n" \
    "ldr.w r2, [r0], #4\n" \
    "ldr.w r5, [r1], #4\n" \
    "ldr.w r3, [r0], #4\n"

/* 56 bytes: what the entry is computed with. */
#define STEP \
    LOAD \
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

/* The sums of channel c are r(6 + 2c) of the first pixel and r(7 + 2c) of the second, lr the last one. No load's base is
 * what the load before it has updated: those do not pipeline. */
#define BEGIN \
    QMCU_GET(r0, 0) \
    "ldr.w r8, [r1], #16\n" \
    "ldr.w r2, [r0], #4\n" \
    "ldr r12, [r1, #-12]\n" \
    "ldr.w r3, [r0], #4\n" \
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

/* A group from the end of its steps on. After the last group of a pair, flags are equal. */
#define FINISH \
    TWO_CHANNELS(r6, r7, r8, r9) \
    TWO_CHANNELS(r10, r11, r12, lr) \
    QMCU_GET(r2, 1) QMCU_GET(r3, 4) QMCU_GET(r4, 5) \
    "cmp r1, r2\n" \
    "bfi r6, r8, #8, #8\n" \
    "bfi r10, r12, #8, #8\n" \
    "pkhbt r6, r6, r10, lsl #16\n" \
    "bfi r7, r9, #8, #8\n" \
    "bfi r11, lr, #8, #8\n" \
    "pkhbt r7, r7, r11, lsl #16\n" \
    "str r6, [r3], #4\n" \
    "str r7, [r4], #4\n" \
    QMCU_PUT(4, r3) QMCU_PUT(5, r4)

/* The entry into a block of steps that ends at `label`, for r6 steps. */
#define ENTRY(label) \
    "adr.w r9, " label "\n" \
    "rsb r6, r6, r6, lsl #3\n" \
    "sub.w r9, r9, r6, lsl #3\n" \
    "orr.w r9, r9, #1\n" \
    QMCU_PUT(3, r9)

__attribute__((naked)) void qmcu_tiles_line__dsp(const uint32_t *columns, const qmcu_tiles_t *tiles, int8_t *a,
                                                  int8_t *b, int32_t pairs, int32_t out_step)
{
    __asm__ volatile(
        QMCU_ENTER
        QMCU_PUT(4, r2) QMCU_PUT(5, r3)
        "ldm r1, {r1, r5-r7}\n"          /* weights, lanes, words, groups */
        QMCU_PUT(0, r0)
        "lsl.w r8, r6, #3\n"
        "add.w r9, r0, r8\n"
        QMCU_PUT(2, r9)                  /* the end of the columns */
        "add.w r8, r8, #32\n"
        "mla r8, r8, r7, r1\n"
        QMCU_PUT(1, r8)                  /* the end of the weights */
        QMCU_PUT(6, r1)
        "ldr r11, [sp, " QMCU_ARGUMENT(5) "]\n"
        "sub.w r11, r11, r7, lsl #1\n"
        "lsl.w r11, r11, #1\n"          /* from the end of a pixel to the start of the one after the next */
        "str r11, [sp, " QMCU_ARGUMENT(5) "]\n"
        "sub.w r6, r6, #1\n"
        "cmp r6, #12\n"
        "bhi.w 7f\n"
        ENTRY("2f")
        "1:\n"
        BEGIN
        ".p2align 2\n"
        ".rept 12\n" STEP ".endr\n"
        "2:\n"
        FINISH
        "beq.w 3f\n"
        BEGIN
        "3:\n"
        "ldr r5, [sp, " QMCU_ARGUMENT(4) "]\n"
        "ldr r6, [sp, " QMCU_ARGUMENT(5) "]\n"
        "subs r5, r5, #1\n"
        "beq.w 6f\n"
        "str r5, [sp, " QMCU_ARGUMENT(4) "]\n"
        QMCU_GET(r1, 6)
        "add.w r3, r3, r6\n"
        "add.w r4, r4, r6\n"
        QMCU_PUT(4, r3) QMCU_PUT(5, r4)
        QMCU_GET(r2, 2) QMCU_GET(r3, 0)
        QMCU_PUT(0, r0)                  /* the next columns begin where these end */
        "sub.w r2, r2, r3\n"
        "add.w r2, r2, r0\n"
        QMCU_PUT(2, r2)
        QMCU_GET(r2, 3)
        "adr.w r3, 6f\n"
        "cmp r2, r3\n"
        "blo.w 1b\n"
        "b.w 8f\n"
        "6:\n"
        QMCU_LEAVE
        "7:\n"                          /* steps in the first turn of the block: 1 to 12 */
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
        ".rept 12\n" STEP ".endr\n"
        "5:\n"
        QMCU_GET(r2, 2)
        "cmp r0, r2\n"
        "blo.w 4b\n"
        FINISH
        "bne.w 8b\n"
        "b.w 3b\n");
}

#endif
