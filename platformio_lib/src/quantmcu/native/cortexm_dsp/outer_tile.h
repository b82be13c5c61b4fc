/* outer_tile.h: what tiles of outer products share, in assembly: the loop over words, and what lies on the stack.
 *
 * Accumulators: r4, r5 of channels 0 and 1 and the first group of pixels, r6, r7 of the second, r8 to r11 of channels
 * 2 and 3. r0 points to the words, lr is the mask, r12 a word of weights, r1 a pair, r2 and r3 words of pixels.
 *
 * The stack: words at 0, their end 4, weights 8, groups 12, start 16 to 31, constants 32, out 36, pixel_bytes 40,
 * group_bytes 44, fields 48, entry 52, bytes of weights that the entry leaves out 56, finish 60, room from 64 to 83, the mask 84.
 *
 * Three units are a block, at labels 20, 21 and 22; it is entered such that the last block ends with the words. A unit
 * of a window is a block at label 30. Both go on at label 40. */
#ifndef QMCU_NATIVE_CORTEXM_DSP_OUTER_TILE_H
#define QMCU_NATIVE_CORTEXM_DSP_OUTER_TILE_H

#pragma GCC diagnostic ignored "-Woverlength-strings" /* C99 promises literals of 4,095 characters; no limit is met here */

/* The end of the words, where a register of the FPU is there for it. */
#if defined(__ARM_FP)
#define OUTER_PUT_END "vmov s0, r2\n"
#define OUTER_GET_END "vmov r1, s0\n"
#else
#define OUTER_PUT_END "str r2, [sp, #4]\n"
#define OUTER_GET_END "ldr r1, [sp, #4]\n"
#endif

/* Weights are read ahead of a pointer to the word before them. */
#define OUTER_ENTER(bytes_of_unit, mask_low, mask_high) \
    "push {r4-r11, lr}\n" \
    "sub sp, sp, #44\n" \
    "mov lr, r0\n" \
    "ldm lr!, {r1-r12}\n" \
    "sub.w r3, r3, #4\n" \
    "push {r1-r12}\n" \
    "ldm lr, {r0, r3, r4}\n" \
    "mov.w r5, #" #bytes_of_unit "\n" \
    "mul r5, r0, r5\n" \
    "lsl.w r2, r2, #6\n" \
    "cmp r0, #3\n" \
    "it eq\n" \
    "lsleq r2, r2, #1\n" \
    "add.w r2, r2, r1\n" \
    OUTER_PUT_END \
    "str r3, [sp, #48]\n" \
    "str r0, [sp, #52]\n" \
    "str r5, [sp, #56]\n" \
    "str r4, [sp, #60]\n" \
    "movw r6, #" #mask_low "\n" \
    "movt r6, #" #mask_high "\n" \
    "str r6, [sp, #84]\n"

/* Where blocks are entered whose units are no multiple of three, and those of a window. */
#define OUTER_ENTRIES \
    "0:\n" \
    "cmp r3, #3\n" \
    "beq.w 30f\n" \
    "ldr r1, [sp, #8]\n" \
    "ldr r2, [sp, #56]\n" \
    "sub.w r1, r1, r2\n" \
    "str r1, [sp, #8]\n" \
    "cmp r3, #1\n" \
    "beq.w 21b\n" \
    "b.w 22b\n"

#define OUTER_BEGIN \
    "1:\n" \
    "ldr r0, [sp]\n" \
    "ldr r3, [sp, #52]\n" \
    "ldr r4, [sp, #16]\n" \
    "ldr r5, [sp, #20]\n" \
    "ldr r6, [sp, #24]\n" \
    "ldr r7, [sp, #28]\n" \
    "ldr.w r8, [sp, #16]\n" \
    "ldr.w r9, [sp, #20]\n" \
    "ldr.w r10, [sp, #24]\n" \
    "ldr.w r11, [sp, #28]\n" \
    "ldr.w lr, [sp, #84]\n" \
    "cmp r3, #0\n" \
    "bne.w 0f\n"

#define OUTER_LOAD(step) \
    "ldr r3, [r0, #32]\n" \
    "ldr r2, [r0], #" #step "\n"
#define OUTER_LOAD_WEIGHTS(place, step) "ldr r1, [sp, #8]\n" OUTER_LOAD(step) "ldr.w r12, [r1, #" #place "\n"

/* A pair of channels times both groups of pixels; _0 and _1: the first two channels of a group and the last two; the
 * words of pixels change places with _SWAPPED. */
#define OUTER_PAIR(turn, a, b, c, d, first, second) \
    "and.w r1, lr, r12" turn "\n" \
    "umlal " #a ", " #b ", r1, " #first "\n" \
    "umlal " #c ", " #d ", r1, " #second "\n"
#define OUTER_PAIRS(turn_0, turn_1) \
    OUTER_PAIR(turn_0, r4, r5, r6, r7, r2, r3) OUTER_PAIR(turn_1, r8, r9, r10, r11, r2, r3)
#define OUTER_PAIRS_SWAPPED(turn_0, turn_1) \
    OUTER_PAIR(turn_0, r4, r5, r6, r7, r3, r2) OUTER_PAIR(turn_1, r8, r9, r10, r11, r3, r2)

/* Of a window: columns 0 and 1 of the words in r2 and r3, after which r0 is at the next k, or unit; then columns 2
 * and 3, which lie 60 and 92 bytes after that, and 96 bytes less after the last k of a unit. */
#define OUTER_COLUMNS_01(step) OUTER_LOAD(step)
#define OUTER_COLUMNS_01_WEIGHTS(place, step) OUTER_LOAD_WEIGHTS(place, step)
#define OUTER_COLUMN_2(place) "ldr r2, [r0, #" #place "]\n"
#define OUTER_COLUMN_2_WEIGHTS(column, place) \
    "ldr r1, [sp, #8]\n" OUTER_COLUMN_2(column) "ldr.w r12, [r1, #" #place "\n"
#define OUTER_COLUMN_3(place) "ldr r3, [r0, #" #place "]\n"
#define OUTER_COLUMN_3_WEIGHTS(column, place) \
    "ldr r1, [sp, #8]\n" OUTER_COLUMN_3(column) "ldr.w r12, [r1, #" #place "\n"
#define OUTER_KEEP_WEIGHTS "str r1, [sp, #8]\n"

/* The end of a block. */
#define OUTER_LOOP(block) \
    OUTER_GET_END \
    "cmp r0, r1\n" \
    "bne.w " #block "b\n"

/* The accumulators are complete: r0 are the constants. How to finish is in the flags: equal with all but LINES, STEPS and
 * STEEP, carry clear with NONE and LINES. */
#define OUTER_FINISH \
    "ldr r0, [sp, #32]\n" \
    "ldr r1, [sp, #60]\n" \
    "lsls r1, r1, #31\n"

#define OUTER_KEEP_CONSTANTS "str r0, [sp, #32]\n"
#define OUTER_LOAD_CONSTANTS "ldr r0, [sp, #32]\n"

/* r0: the output, r1 and r2: bytes of pixels and groups. The flags tell whether there is another group of channels:
 * then not equal. */
#define OUTER_LOAD_OUT \
    "ldr r0, [sp, #36]\n" \
    "ldr r1, [sp, #40]\n" \
    "ldr r3, [sp, #12]\n" \
    "ldr r2, [sp, #44]\n" \
    "subs r3, r3, #1\n" \
    "str r3, [sp, #12]\n"
#define OUTER_KEEP_OUT "str r0, [sp, #36]\n"

/* A sum in a becomes an output by the lane in r1, r2, r3 and r12. */
#define OUTER_REQUANT(a) \
    "add.w " #a ", r1, " #a ", lsl #1\n" \
    "smmlar r0, " #a ", r2, r3\n" \
    "add.w " #a ", r0, " #a ", asr #31\n" \
    "asr.w " #a ", " #a ", r12\n"

/* How many of three sums have the highest bits of fields set, in those bits of a and the ones above them; r12 has
 * them. */
#define OUTER_STEPS(a, t, u) \
    "add.w " #t ", " #a ", r1\n" \
    "add.w " #u ", " #a ", r2\n" \
    "and.w " #t ", " #t ", r12\n" \
    "and.w " #u ", " #u ", r12\n" \
    "add.w " #a ", " #a ", r3\n" \
    "add.w " #t ", " #t ", " #u "\n" \
    "and.w " #a ", " #a ", r12\n" \
    "add.w " #a ", " #a ", " #t "\n"

#define OUTER_STORE_FIELDS \
    "ldr r0, [sp, #48]\n" \
    "ldr r2, [sp, #12]\n" \
    "stm r0!, {r4-r11}\n" \
    "subs r2, r2, #1\n" \
    "str r0, [sp, #48]\n" \
    "str r2, [sp, #12]\n"

#define OUTER_LEAVE \
    "add sp, sp, #92\n" \
    "pop {r4-r11, pc}\n"

#endif
