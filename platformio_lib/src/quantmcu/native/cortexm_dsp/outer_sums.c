/* outer_sums.c: fields of pieces of a window as sums, and sums as bytes, on Cortex-M with DSP instructions.
 *
 * A sum takes 4 to 6 cycles of a Cortex-M4 for each piece, a byte 13. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include "assembly.h"

/* The fields of one channel, in a, of two or three pixels, become sums or are added to them. r2 points to these. */
#define FIELDS_2(a) "ubfx r8, " #a ", #0, #14\nubfx r9, " #a ", #14, #14\n"
#define FIELDS_3(a) "ubfx r8, " #a ", #0, #10\nubfx r9, " #a ", #10, #10\nubfx r10, " #a ", #20, #10\n"
#define FIRST_2(a) FIELDS_2(a) "stm r2!, {r8, r9}\n"
#define FIRST_3(a) FIELDS_3(a) "stm r2!, {r8-r10}\n"
#define NEXT_2(a) FIELDS_2(a) "ldm r2, {r3, r12}\nadd.w r8, r8, r3\nadd.w r9, r9, r12\nstm r2!, {r8, r9}\n"
#define NEXT_3(a) \
    FIELDS_3(a) \
    "ldm r2, {r3, r12, lr}\n" \
    "add.w r8, r8, r3\n" \
    "add.w r9, r9, r12\n" \
    "add.w r10, r10, lr\n" \
    "stm r2!, {r8-r10}\n"

/* Pairs of channels; `up` and `down` bring the odd one's fields to the lowest bits. */
#define SUMS(label, CHANNEL, up, down) \
    #label ":\n" \
    "ldm r0!, {r4-r7}\n" \
    CHANNEL(r4) CHANNEL(r6) \
    "lsl.w r5, r5, #" #up "\n" \
    "orr.w r5, r5, r4, lsr #" #down "\n" \
    "lsl.w r7, r7, #" #up "\n" \
    "orr.w r7, r7, r6, lsr #" #down "\n" \
    CHANNEL(r5) CHANNEL(r7) \
    "subs r1, r1, #1\n" \
    "bne " #label "b\n" \
    "pop {r4-r10, pc}\n"

__attribute__((naked)) void qmcu_outer_sums__dsp(const uint32_t *fields, int32_t pixels, int32_t groups,
                                                 int32_t is_first, int32_t *sums)
{
    __asm__ volatile(
        "push {r4-r10, lr}\n"
        "mov r4, r1\n"
        "lsl.w r1, r2, #1\n"
        "ldr r2, [sp, #32]\n"
        "cmp r4, #2\n"
        "bne 3f\n"
        "cmp r3, #0\n"
        "beq 2f\n"
        SUMS(1, FIRST_2, 4, 28)
        SUMS(2, NEXT_2, 4, 28)
        "3:\n"
        "cmp r3, #0\n"
        "beq 5f\n"
        SUMS(4, FIRST_3, 2, 30)
        SUMS(5, NEXT_3, 2, 30));
}

/* r0: sums, r1: lanes, r2: channels, r3: pixels of a group. */
__attribute__((naked)) void qmcu_outer_bytes__dsp(const int32_t *sums, const int32_t *lanes, int32_t channels,
                                                  int32_t pixels, int8_t *out, int32_t pitch)
{
    __asm__ volatile(
        QMCU_ENTER
        QMCU_PUT(0, r3)
        "ldr r8, [sp, " QMCU_ARGUMENT(4) "]\n"
        "ldr r9, [sp, " QMCU_ARGUMENT(5) "]\n"
        QMCU_PUT(1, r8)
        "1:\n"
        "ldm r1!, {r4-r7}\n"
        QMCU_GET(r3, 0) QMCU_GET(r8, 1)
        "2:\n"
        "ldm r0!, {r10, r11}\n"
        "subs r3, r3, #1\n"
        "add.w r10, r4, r10, lsl #1\n"
        "add.w r11, r4, r11, lsl #1\n"
        "smmlar r12, r10, r5, r6\n"
        "smmlar lr, r11, r5, r6\n"
        "add.w r12, r12, r10, asr #31\n"
        "add.w lr, lr, r11, asr #31\n"
        "asr.w r12, r12, r7\n"
        "asr.w lr, lr, r7\n"
        "ssat r12, #8, r12\n"
        "ssat lr, #8, lr\n"
        "strb.w r12, [r8]\n"
        "add.w r8, r8, r9\n"
        "strb.w lr, [r8]\n"
        "add.w r8, r8, r9\n"
        "bne 2b\n"
        QMCU_GET(r8, 1)
        "add.w r8, r8, #1\n"
        QMCU_PUT(1, r8)
        "subs r2, r2, #1\n"
        "bne 1b\n"
        QMCU_LEAVE);
}

#endif
