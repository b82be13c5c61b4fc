/* outer_words.c: eight channels of two or three pixels become words, on Cortex-M with DSP instructions.
 *
 * An AND with a rotated word picks the same channel of every pixel once the pixels' bits lie at the fields'
 * distance. Per unit of two pixels of 4 bits 32 cycles of a Cortex-M4, of three 50, of three pixels of 2 bits 36,
 * and 20 to 40 for a call. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#pragma GCC diagnostic ignored "-Wunused-parameter"

/* r2: where the unit's words go. r1: units that are left in the upper half, bytes from unit to unit in the lower one.
 * r12: the mask. `turn` is where the channel lies in z. */
#define PICK(z, turn, place) \
    "and.w r7, r12, " #z TURN_##turn "\n" \
    "str r7, [r2, #" #place "]\n"
#define PICK_ADD(z, turn, place) PICK(z, turn, place) "add.w lr, lr, r7\n"
#define TURN_0 ""
#define TURN_2 ", ror #2"
#define TURN_4 ", ror #4"
#define TURN_6 ", ror #6"
#define TURN_8 ", ror #8"
#define TURN_12 ", ror #12"
#define TURN_20 ", ror #20"
#define TURN_24 ", ror #24"
#define TURN_28 ", ror #28"
#define NEXT_UNIT "uxtah r2, r2, r1\n"

/* Two pixels in r4 and r5. PKHBT brings channels 1 to 3 to the fields' distance, PKHTB channels 5 to 7. r8 and r9: sums
 * of the low values of bytes, and of bytes, of the first pixel: bytes are low + 16 * high. r10, r11 of the second. */
#define UNIT_U4X2 \
    "ldr r4, [r0], #4\n" \
    "ldr r5, [r3], #4\n" \
    "and.w r6, r4, #0x0F0F0F0F\n" \
    "usada8 r9, r4, lr, r9\n" \
    "usada8 r8, r6, lr, r8\n" \
    "and.w r6, r5, #0x0F0F0F0F\n" \
    "usada8 r11, r5, lr, r11\n" \
    "usada8 r10, r6, lr, r10\n" \
    "pkhbt r6, r4, r5, lsl #14\n" \
    PICK(r6, 4, 4) PICK(r6, 8, 8) PICK(r6, 12, 12) \
    "pkhtb r6, r4, r5, asr #18\n" \
    PICK(r6, 20, 20) PICK(r6, 24, 24) PICK(r6, 28, 28) \
    "ubfx r6, r4, #16, #4\n" \
    "and.w r4, r4, #15\n" \
    "bfi r4, r5, #14, #4\n" \
    "lsr.w r5, r5, #16\n" \
    "bfi r6, r5, #14, #4\n" \
    "str r4, [r2]\n" \
    "str r6, [r2, #16]\n" \
    NEXT_UNIT

__attribute__((naked)) uint32_t qmcu_outer_words_u4x2__dsp(const int8_t *const *x, int32_t units, uint32_t *words,
                                                            int32_t step)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n"
        "ands.w r4, r1, #3\n"
        "add.w r1, r1, #3\n"
        "bic.w r1, r1, #3\n"
        "lsl.w r3, r3, #2\n"
        "orr.w r1, r3, r1, lsl #16\n"
        "ldrd r0, r3, [r0]\n"
        "movw r12, #0xC00F\n"
        "movt r12, #0x3\n"
        "mov.w lr, #0\n"
        "mov.w r8, #0\n"
        "mov.w r9, #0\n"
        "mov.w r10, #0\n"
        "mov.w r11, #0\n"
        "sub.w r1, r1, #0x10000\n"
        "bne.w 5f\n"
        "1:\n"
        UNIT_U4X2
        "2:\n"
        UNIT_U4X2
        "3:\n"
        UNIT_U4X2
        "4:\n"
        UNIT_U4X2
        "subs.w r1, r1, #0x40000\n"
        "bpl.w 1b\n"
        "sub.w r9, r9, r8\n"
        "sub.w r11, r11, r10\n"
        "add.w r8, r8, r9, lsr #4\n"
        "add.w r10, r10, r11, lsr #4\n"
        "add.w r0, r8, r10, lsl #14\n"
        "pop {r4-r11, pc}\n"
        "5:\n" /* what is no multiple of four units comes first */
        "cmp r4, #2\n"
        "beq.w 3b\n"
        "bhi.w 2b\n"
        "b.w 4b\n");
}

/* Eight bits of each of three pixels, which lie `shift` bits up in r4, at the fields' distance in r9. */
#define ALIGN_FIRST \
    "mov r9, r4\n" \
    "bfi r9, r5, #10, #8\n" \
    "bfi r9, r6, #20, #8\n"
#define ALIGN(shift) \
    "lsr.w r9, r4, #" #shift "\n" \
    "lsr.w r5, r5, #8\n" \
    "lsr.w r6, r6, #8\n" \
    "bfi r9, r5, #10, #8\n" \
    "bfi r9, r6, #20, #8\n"

__attribute__((naked)) uint32_t qmcu_outer_words_u4x3__dsp(const int8_t *const *x, int32_t units, uint32_t *words,
                                                            int32_t step)
{
    __asm__ volatile(
        "push {r4-r9, lr}\n"
        "lsl.w r3, r3, #2\n"
        "orr.w r1, r3, r1, lsl #16\n"
        "ldm r0, {r0, r3, r8}\n"
        "movw r12, #0x3C0F\n"
        "movt r12, #0xF0\n"
        "mov.w lr, #0\n"
        "sub.w r1, r1, #0x10000\n"
        "1:\n"
        "ldr r4, [r0], #4\n"
        "ldr r5, [r3], #4\n"
        "ldr r6, [r8], #4\n"
        ALIGN_FIRST PICK_ADD(r9, 0, 0) PICK_ADD(r9, 4, 4)
        ALIGN(8) PICK_ADD(r9, 0, 8) PICK_ADD(r9, 4, 12)
        ALIGN(16) PICK_ADD(r9, 0, 16) PICK_ADD(r9, 4, 20)
        ALIGN(24) PICK_ADD(r9, 0, 24) PICK_ADD(r9, 4, 28)
        NEXT_UNIT
        "subs.w r1, r1, #0x10000\n"
        "bpl 1b\n"
        "mov r0, lr\n"
        "pop {r4-r9, pc}\n");
}

__attribute__((naked)) uint32_t qmcu_outer_words_u2x2__dsp(const int8_t *const *x, int32_t units, uint32_t *words,
                                                            int32_t step)
{
    __asm__ volatile(
        "push {r4-r7, lr}\n"
        "lsl.w r3, r3, #2\n"
        "orr.w r1, r3, r1, lsl #16\n"
        "ldrd r0, r3, [r0]\n"
        "movw r12, #0xC003\n"
        "mov.w lr, #0\n"
        "sub.w r1, r1, #0x10000\n"
        "1:\n"
        "ldrh r4, [r0], #2\n"
        "ldrh r5, [r3], #2\n"
        "lsr.w r6, r4, #8\n"
        "lsr.w r7, r5, #8\n"
        "bfi r4, r5, #14, #8\n"
        "bfi r6, r7, #14, #8\n"
        PICK_ADD(r4, 0, 0) PICK_ADD(r4, 2, 4) PICK_ADD(r4, 4, 8) PICK_ADD(r4, 6, 12)
        PICK_ADD(r6, 0, 16) PICK_ADD(r6, 2, 20) PICK_ADD(r6, 4, 24) PICK_ADD(r6, 6, 28)
        NEXT_UNIT
        "subs.w r1, r1, #0x10000\n"
        "bpl 1b\n"
        "mov r0, lr\n"
        "pop {r4-r7, pc}\n");
}

__attribute__((naked)) uint32_t qmcu_outer_words_u2x3__dsp(const int8_t *const *x, int32_t units, uint32_t *words,
                                                            int32_t step)
{
    __asm__ volatile(
        "push {r4-r9, lr}\n"
        "lsl.w r3, r3, #2\n"
        "orr.w r1, r3, r1, lsl #16\n"
        "ldm r0, {r0, r3, r8}\n"
        "movw r12, #0x0C03\n"
        "movt r12, #0x30\n"
        "mov.w lr, #0\n"
        "subs.w r1, r1, #0x20000\n"
        "bmi 2f\n"
        "1:\n"
        "ldr r4, [r0], #4\n"
        "ldr r5, [r3], #4\n"
        "ldr r6, [r8], #4\n"
        ALIGN_FIRST PICK_ADD(r9, 0, 0) PICK_ADD(r9, 2, 4) PICK_ADD(r9, 4, 8) PICK_ADD(r9, 6, 12)
        ALIGN(8) PICK_ADD(r9, 0, 16) PICK_ADD(r9, 2, 20) PICK_ADD(r9, 4, 24) PICK_ADD(r9, 6, 28)
        NEXT_UNIT
        ALIGN(16) PICK_ADD(r9, 0, 0) PICK_ADD(r9, 2, 4) PICK_ADD(r9, 4, 8) PICK_ADD(r9, 6, 12)
        ALIGN(24) PICK_ADD(r9, 0, 16) PICK_ADD(r9, 2, 20) PICK_ADD(r9, 4, 24) PICK_ADD(r9, 6, 28)
        NEXT_UNIT
        "subs.w r1, r1, #0x20000\n"
        "bpl 1b\n"
        "2:\n"
        "adds.w r1, r1, #0x10000\n"
        "bmi 3f\n"
        "ldrh r4, [r0]\n"
        "ldrh r5, [r3]\n"
        "ldrh r6, [r8]\n"
        ALIGN_FIRST PICK_ADD(r9, 0, 0) PICK_ADD(r9, 2, 4) PICK_ADD(r9, 4, 8) PICK_ADD(r9, 6, 12)
        ALIGN(8) PICK_ADD(r9, 0, 16) PICK_ADD(r9, 2, 20) PICK_ADD(r9, 4, 24) PICK_ADD(r9, 6, 28)
        "3:\n"
        "mov r0, lr\n"
        "pop {r4-r9, pc}\n");
}

/* Three channels, 6 bits, of each of four pixels at the fields' distance in r9. */
#define JOIN_X4 \
    "bfi r9, r5, #7, #6\n" \
    "bfi r9, r6, #14, #6\n" \
    "bfi r9, r11, #21, #6\n"
#define ALIGN_X4(shift) \
    "lsr.w r9, r4, #" #shift "\n" \
    "lsr.w r5, r5, #6\n" \
    "lsr.w r6, r6, #6\n" \
    "lsr.w r11, r11, #6\n" \
    JOIN_X4

__attribute__((naked)) uint32_t qmcu_outer_words_u2x4__dsp(const int8_t *const *x, int32_t units, uint32_t *words,
                                                            int32_t step)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n"
        "lsl.w r3, r3, #2\n"
        "orr.w r1, r3, r1, lsl #16\n"
        "ldm r0, {r0, r3, r8, r10}\n"
        "movw r12, #0xC183\n"
        "movt r12, #0x60\n"
        "mov.w lr, #0\n"
        "sub.w r1, r1, #0x10000\n"
        "1:\n"
        "ldrh r4, [r0], #2\n"
        "ldrh r5, [r3], #2\n"
        "ldrh r6, [r8], #2\n"
        "ldrh r11, [r10], #2\n"
        "mov r9, r4\n"
        JOIN_X4 PICK_ADD(r9, 0, 0) PICK_ADD(r9, 2, 4) PICK_ADD(r9, 4, 8)
        ALIGN_X4(6) PICK_ADD(r9, 0, 12) PICK_ADD(r9, 2, 16) PICK_ADD(r9, 4, 20)
        ALIGN_X4(12) PICK_ADD(r9, 0, 24) PICK_ADD(r9, 2, 28)
        NEXT_UNIT
        "subs.w r1, r1, #0x10000\n"
        "bpl 1b\n"
        "mov r0, lr\n"
        "pop {r4-r11, pc}\n");
}

#endif
