/* field_rows_i4.c: one column times weights of 4 bits, on Cortex-M with DSP instructions. See core/field_rows.h.
 *
 * Two words of the column are multiplied with eight channels at a time: 32 products take 23 cycles of a Cortex-M4: six
 * loads, eight AND and eight SMLAD of two fields and two lanes each. A segment is blocks of two units, which are entered
 * in their middle where the segment has an odd number of them. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "rows.h"

/* Slots: 0 the column, 1 the channels' lanes, 2 where the outputs go, 3 groups that are left, 4 the smaller one, 5 and 6
 * the totals of even channels, 7 the end of the segment. r0 points to the column, r1 to the weights; r4 to r7 are the
 * accumulators, lr is the mask. */

/* A word of weights, in w, times the word in x. */
#define MULTIPLY(w, x, a, b) \
    "and.w r12, lr, " #w ", ror #8\n" \
    "and.w " #w ", " #w ", lr\n" \
    "smlad " #a ", " #w ", " #x ", " #a "\n" \
    "smlad " #b ", r12, " #x ", " #b "\n"

#define STEP \
    "ldr r3, [r0, #4]\n" \
    "ldr r2, [r0], #8\n" \
    "ldr.w r9, [r1, #4]\n" \
    "ldr.w r10, [r1, #8]\n" \
    "ldr.w r11, [r1, #12]\n" \
    "ldr.w r8, [r1], #16\n" \
    MULTIPLY(r8, r2, r4, r5) MULTIPLY(r9, r2, r6, r7) MULTIPLY(r10, r3, r4, r5) MULTIPLY(r11, r3, r6, r7)

/* The same for four channels. */
#define SMALL_STEP \
    "ldr r3, [r0, #4]\n" \
    "ldr r2, [r0], #8\n" \
    "ldr.w r9, [r1, #4]\n" \
    "ldr.w r8, [r1], #8\n" \
    MULTIPLY(r8, r2, r4, r5) MULTIPLY(r9, r3, r4, r5)

#define BEGIN \
    QMCU_GET(r0, 0) \
    "movw lr, #0xf00f\n" \
    "movt lr, #0xf00f\n" \
    "ldr r2, [r0], #4\n" \
    "ldr r4, [r0], #4\n" \
    QMCU_PUT(5, r2) QMCU_PUT(6, r2) \
    "mov r5, r4\n" \
    "mov r6, r4\n" \
    "mov r7, r4\n"

/* Goes on at `done` behind the last segment; else the flags tell whether the number of units is odd: then not equal. */
#define BEGIN_SEGMENT(done) \
    "ldr r3, [r0, #4]\n" \
    "ldr r12, [r0], #8\n" \
    "cmp r3, #0\n" \
    "beq.w " #done "f\n" \
    "add.w r2, r0, r3, lsl #2\n" \
    "tst r3, #4\n" \
    QMCU_PUT(7, r2)

#define START(a) "bfi " #a ", r12, #0, #12\n"

#define END_BLOCK(again) \
    QMCU_GET(r2, 7) \
    "cmp r0, r2\n" \
    "bne.w " #again "b\n"

/* Adds the even channels of two accumulators to totals. */
#define TOTAL(a, b, slot) \
    QMCU_GET(r3, slot) \
    "pkhbt r2, " #a ", " #b ", lsl #16\n" \
    "bic r2, r2, #0xf000f000\n" \
    "uadd16 r3, r3, r2\n" \
    QMCU_PUT(slot, r3)

/* Four outputs in a. r0 points to lanes; r1 is overwritten. */
#define FINISH(a, b, slot) \
    "asr.w " #a ", " #a ", #12\n" \
    QMCU_ONCE(a, "lsl #1") \
    "asr.w " #b ", " #b ", #12\n" \
    QMCU_ONCE(b, "lsl #1") \
    QMCU_GET(r1, slot) \
    "pkhbt " #a ", " #a ", " #b ", lsl #16\n" \
    "uxth " #b ", r1\n" \
    QMCU_ONCE(b, "lsl #1") \
    "lsr r1, r1, #16\n" \
    QMCU_ONCE(r1, "lsl #1") \
    "pkhbt " #b ", " #b ", r1, lsl #16\n" \
    "uxtb16 " #a ", " #a "\n" \
    "uxtb16 " #b ", " #b "\n" \
    "orr.w " #a ", " #b ", " #a ", lsl #8\n"

__attribute__((naked)) void qmcu_field_rows_i4__dsp(const uint32_t *column, const qmcu_field_rows_t *rows, int8_t *out)
{
    __asm__ volatile(
        QMCU_ENTER
        "ldm r1, {r4-r7}\n"
        QMCU_PUT(0, r0) QMCU_PUT(1, r5) QMCU_PUT(2, r2) QMCU_PUT(3, r6) QMCU_PUT(4, r7)
        "mov r1, r4\n"
        "cmp r6, #0\n"
        "beq.w 5f\n"
        "1:\n"
        BEGIN
        "2:\n"
        BEGIN_SEGMENT(4)
        START(r4) START(r5) START(r6) START(r7)
        "bne.w 31f\n"
        "3:\n"
        STEP STEP
        "31:\n"
        STEP STEP
        END_BLOCK(3)
        TOTAL(r4, r5, 5) TOTAL(r6, r7, 6)
        "b 2b\n"
        "4:\n"
        QMCU_GET(r0, 1) QMCU_PUT(7, r1)
        FINISH(r4, r5, 5) FINISH(r6, r7, 6)
        QMCU_GET(r2, 2) QMCU_GET(r3, 3) QMCU_GET(r1, 7) QMCU_PUT(1, r0)
        "str r4, [r2], #4\n"
        "str r6, [r2], #4\n"
        "subs r3, r3, #1\n"
        QMCU_PUT(2, r2) QMCU_PUT(3, r3)
        "bne.w 1b\n"
        "5:\n"
        QMCU_GET(r2, 4)
        "cmp r2, #0\n"
        "beq.w 9f\n"
        BEGIN
        "6:\n"
        BEGIN_SEGMENT(8)
        START(r4) START(r5)
        "bne.w 71f\n"
        "7:\n"
        SMALL_STEP SMALL_STEP
        "71:\n"
        SMALL_STEP SMALL_STEP
        END_BLOCK(7)
        TOTAL(r4, r5, 5)
        "b 6b\n"
        "8:\n"
        QMCU_GET(r0, 1)
        FINISH(r4, r5, 5)
        QMCU_GET(r2, 2)
        "str r4, [r2]\n"
        "9:\n"
        QMCU_LEAVE);
}

#endif
