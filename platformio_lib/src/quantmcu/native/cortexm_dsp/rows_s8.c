/* rows_s8.c: nested weights of 8 bits times one column, on Cortex-M with DSP instructions.
 *
 * Eight channels at a time: 32 products of two words of the column take 37 cycles of a Cortex-M4, 13 of them for ten
 * loads in three runs, as long as four free registers allow. The first two words of a group start the sums; the others
 * run through a block of 8 words, entered where the rest of them begins: with what finishes a group 1 KB of code, which
 * small caches before flash hold. Channels that are left over go in twos. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "rows.h"

#define MULTIPLY(op, even, odd, w, x, even_end, odd_end) \
    #op " " #odd ", " #w ", " #x odd_end "\n" \
    "sxtb16 " #w ", " #w "\n" \
    #op " " #even ", " #w ", " #x even_end "\n"
#define FIRST(even, odd, w, x) MULTIPLY(smuad, even, odd, w, x, "", "")
#define NEXT(even, odd, w, x) MULTIPLY(smlad, even, odd, w, x, ", " #even, ", " #odd)

/* Two words of the column; 136 bytes: what the entry is computed with. */
#define TWO(BEGIN) \
    "ldr.w r3, [r1], #32\n" \
    "ldr.w r2, [r0], #8\n" \
    "ldr r12, [r1, #-28]\n" \
    "ldr lr, [r1, #-24]\n" \
    BEGIN(r4, r5, r3, r2) BEGIN(r6, r7, r12, r2) BEGIN(r8, r9, lr, r2) \
    "ldr r3, [r1, #-20]\n" \
    "ldr r12, [r0, #-4]\n" \
    "ldr lr, [r1, #-16]\n" \
    BEGIN(r10, r11, r3, r2) NEXT(r4, r5, lr, r12) \
    "ldr r2, [r1, #-12]\n" \
    "ldr r3, [r1, #-8]\n" \
    "ldr lr, [r1, #-4]\n" \
    NEXT(r6, r7, r2, r12) NEXT(r8, r9, r3, r12) NEXT(r10, r11, lr, r12)

/* Two words for two channels. */
#define FEW \
    "ldr.w r2, [r0], #8\n" \
    "ldr.w r3, [r1], #8\n" \
    "ldr r12, [r0, #-4]\n" \
    "ldr lr, [r1, #-4]\n" \
    NEXT(r4, r5, r3, r2) NEXT(r4, r5, lr, r12)

__attribute__((naked)) void qmcu_rows_s8__dsp(uint32_t *column, const qmcu_rows_t *rows, int8_t *out)
{
    __asm__ volatile(
        QMCU_ENTER
        QMCU_ROWS_BEGIN
        "sub.w r6, r6, #2\n"
        "and.w r6, r6, #6\n"           /* words in the first turn of the block: 68 bytes each */
        "add.w r9, r6, r6, lsl #4\n"
        "adr.w r10, 2f\n"
        "sub.w r9, r10, r9, lsl #2\n"
        "orr.w r9, r9, #1\n"
        QMCU_PUT(3, r9)
        "cmp r7, #0\n"
        "beq.w 5f\n"
        "4:\n"
        QMCU_GET(r0, 0)
        TWO(FIRST)
        QMCU_GET(r2, 3)
        "bx r2\n"
        ".p2align 2\n"
        "1:\n"
        ".rept 4\n" TWO(NEXT) ".endr\n"
        "2:\n"
        QMCU_GET(r2, 2)
        "cmp r0, r2\n"
        "bne.w 1b\n"
        QMCU_GET(r0, 1)
        "sub.w r5, r5, r4\n"
        "sub.w r7, r7, r6\n"
        "sub.w r9, r9, r8\n"
        "sub.w r11, r11, r10\n"
        QMCU_ONCE(r4, "lsl #1") QMCU_ONCE(r5, "asr #7") QMCU_ONCE(r6, "lsl #1") QMCU_ONCE(r7, "asr #7")
        QMCU_ONCE(r8, "lsl #1") QMCU_ONCE(r9, "asr #7") QMCU_ONCE(r10, "lsl #1") QMCU_ONCE(r11, "asr #7")
        QMCU_STORE_EIGHT
        "bne.w 4b\n"
        "5:\n"                          /* what is left: two channels at a time */
        QMCU_GET(r2, 6)
        "subs r2, r2, #1\n"
        "blt.w 9f\n"
        QMCU_PUT(6, r2) QMCU_GET(r0, 0) QMCU_GET(r6, 2)
        "mov.w r4, #0\n"
        "mov.w r5, #0\n"
        "sub.w r7, r6, #32\n"           /* eight words before the end */
        "b 7f\n"
        "6:\n" FEW FEW FEW FEW
        "7:\n"
        "cmp r0, r7\n"
        "bls 6b\n"
        "b 8f\n"
        "3:\n" FEW
        "8:\n"
        "cmp r0, r6\n"
        "bne 3b\n"
        QMCU_GET(r0, 1)
        "sub.w r5, r5, r4\n"
        QMCU_ONCE(r4, "lsl #1") QMCU_ONCE(r5, "asr #7")
        QMCU_PUT(1, r0) QMCU_GET(r3, 4)
        "strb r4, [r3], #1\n"
        "strb r5, [r3], #1\n"
        QMCU_PUT(4, r3)
        "b 5b\n"
        "9:\n"
        QMCU_LEAVE);
}

#endif
