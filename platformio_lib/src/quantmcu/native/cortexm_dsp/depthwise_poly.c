/* depthwise_poly.c: convolution of rows by products of polynomials, on Cortex-M with the DSP extension.
 *
 * SMLAL multiplies three or four values with three weights. Every output takes four cycles on top of it: extraction,
 * SMLAWB, saturation, store. */
#include "../../core/poly.h"
#include "../../primitives/primitives.h"
#include "../../primitives/words.h"

#if QMCU_HAVE_DSP
#include "assembly.h"

/* --- neighbours become words ---
 *
 * r0: the first pixel, r1, r2 (and r3): from there to the others, then bytes from word to word; r12: mask, lr: out. */

#define STORE(register, channel) "str " register ", [lr, #4*(" #channel ")]\n"

/* Of two channels, the bytes at bit `at` of r5, r6, r7 spaced by 10: in r8, later r9. */
#define PAIR_4(at, channel)                                                                                            \
    "lsr r8, r5, #" #at "\n lsr r9, r6, #" #at "\n bfi r8, r9, #10, #8\n lsr r9, r7, #" #at                            \
    "\n bfi r8, r9, #20, #8\n and r9, r12, r8\n and r8, r12, r8, lsr #4\n" STORE("r9", channel) STORE("r8", channel + 1)

static __attribute__((naked)) void words_4(const qmcu_poly_pixels_t *pixels, int32_t count, uint32_t *out)
{
    __asm volatile("push {r4-r11, lr}\n mov r10, r1\n mov lr, r2\n ldr r3, [r0, #16]\n ldm r0, {r0, r1, r2}\n"
                   "sub r1, r1, r0\n sub r2, r2, r0\n movw r12, #0x3c0f\n movt r12, #0x00f0\n 1:\n"
                   "ldr r5, [r0]\n ldr r6, [r0, r1]\n ldr r7, [r0, r2]\n add r0, r0, r3\n"
                   "mov r8, r5\n bfi r8, r6, #10, #8\n bfi r8, r7, #20, #8\n"
                   "and r9, r12, r8\n and r8, r12, r8, lsr #4\n"
                   STORE("r9", 0) STORE("r8", 1) PAIR_4(8, 2) PAIR_4(16, 4) PAIR_4(24, 6)
                   "add lr, lr, #128\n subs r10, r10, #1\n bne 1b\n pop {r4-r11, pc}\n");
}

/* Of four channels, the bytes of four pixels in `word`. */
#define QUAD_2(word, channel)                                                                                          \
    "and r9, r12, " word "\n and r10, r12, " word ", lsr #2\n and r11, r12, " word ", lsr #4\n and " word ", r12, "    \
    word ", lsr #6\n" STORE("r9", channel) STORE("r10", channel + 1) STORE("r11", channel + 2) STORE(word, channel + 3)

static __attribute__((naked)) void words_2(const qmcu_poly_pixels_t *pixels, int32_t count, uint32_t *out)
{
    __asm volatile("push {r1, r4-r11, lr}\n mov lr, r2\n ldr r4, [r0, #16]\n ldm r0, {r0-r3}\n"
                   "sub r1, r1, r0\n sub r2, r2, r0\n sub r3, r3, r0\n mov r12, #0x03030303\n 1:\n"
                   "ldrh r5, [r0]\n ldrh r6, [r0, r1]\n ldrh r7, [r0, r2]\n ldrh r8, [r0, r3]\n add r0, r0, r4\n"
                   "orr r5, r5, r7, lsl #16\n orr r6, r6, r8, lsl #16\n"
                   "uxtb16 r7, r5\n uxtb16 r8, r6\n orr r7, r7, r8, lsl #8\n" QUAD_2("r7", 0)
                   "uxtb16 r5, r5, ror #8\n uxtb16 r6, r6, ror #8\n orr r7, r5, r6, lsl #8\n" QUAD_2("r7", 4)
                   "ldr r5, [sp]\n add lr, lr, #128\n subs r5, r5, #1\n str r5, [sp]\n bne 1b\n"
                   "pop {r1, r4-r11, pc}\n");
}

typedef void words_t(const qmcu_poly_pixels_t *pixels, int32_t count, uint32_t *out);

void qmcu_poly_words__dsp(const qmcu_poly_pixels_t *pixels, int32_t count, uint32_t *out)
{
    /* Called through a table: compilers must not reason about registers from what they see of an assembly function. */
    static words_t *const by_bits[2] = {words_2, words_4};
    if (count > 0) {
        by_bits[pixels->bits >> 2](pixels, count, out);
    }
}

/* --- three rows of words ---
 *
 * r0: one row above the words, r1: out, r2, r3 and r4, r5: sums of two rows of windows, r6, r7, r8: weights of rows,
 * r9: multiplier, r10: addend, r11: offset; r12, lr: free. */

/* What the last product leaves for this one, and the offset. */
#define CARRY_4(low, high)                                                                                             \
    "lsr " low ", " low ", #30\n orr " low ", " low ", " high ", lsl #2\n asr " high ", " high ", #30\n adds " low     \
    ", " low ", r11\n adc " high ", " high ", #0\n"
#define CARRY_2(low, high) "adds " low ", " high ", r11\n asr " high ", " high ", #31\n adc " high ", " high ", #0\n"

#define PRODUCTS_1                                                                                                     \
    "ldr r4, [r0, #32]\n ldr r5, [r0, #64]\n ldr r12, [r0, #96]\n smlal r2, r3, r4, r6\n smlal r2, r3, r5, r7\n"     \
    "smlal r2, r3, r12, r8\n add r0, r0, #128\n"
#define PRODUCTS_2                                                                                                     \
    "ldr r12, [r0, #32]\n ldr lr, [r0, #64]\n smlal r2, r3, r12, r6\n smlal r2, r3, lr, r7\n smlal r4, r5, lr, r6\n"   \
    "ldr r12, [r0, #96]\n ldr lr, [r0, #128]!\n smlal r2, r3, r12, r8\n smlal r4, r5, r12, r7\n"                      \
    "smlal r4, r5, lr, r8\n"

#define OUTPUT(sum, at, width, address)                                                                                \
    "ubfx r12, " sum ", #" #at ", #" #width "\n" VALUE(address)
#define VALUE(address) "smlawb r12, r9, r12, r10\n usat r12, #8, r12, asr #7\n strb r12, [r1" address "\n"
#define BOTH(at, width) OUTPUT("r4", at, width, ", #8]") OUTPUT("r2", at, width, "], #16")

#define WORD_4_1                                                                                                       \
    CARRY_4("r2", "r3") PRODUCTS_1 OUTPUT("r2", 0, 10, "], #16") OUTPUT("r2", 10, 10, "], #16")                        \
    OUTPUT("r2", 20, 10, "], #16")
#define WORD_4_2 CARRY_4("r2", "r3") CARRY_4("r4", "r5") PRODUCTS_2 BOTH(0, 10) BOTH(10, 10) BOTH(20, 10)
#define WORD_2_1                                                                                                       \
    CARRY_2("r2", "r3") PRODUCTS_1 OUTPUT("r2", 0, 8, "], #16") OUTPUT("r2", 8, 8, "], #16")                           \
    OUTPUT("r2", 16, 8, "], #16") OUTPUT("r2", 24, 8, "], #16")
#define WORD_2_2                                                                                                       \
    CARRY_2("r2", "r3") CARRY_2("r4", "r5") PRODUCTS_2 BOTH(0, 8) BOTH(8, 8) BOTH(16, 8) BOTH(24, 8)

/* The output after those of the last word, with what padding adds to it in r11. */
#define TAIL_4(low, high, address)                                                                                     \
    "lsr " low ", " low ", #30\n orr " low ", " low ", " high ", lsl #2\n add " low ", " low ", r11\n"                 \
    OUTPUT(low, 0, 10, address)
#define TAIL_2(low, high, address) "add " low ", " high ", r11\n" OUTPUT(low, 0, 8, address)

/* Slots: words and description of the next channel; out; bytes of the words, their end; channels that are left; whether
 * there is a tail. */
#define PLANE 0
#define CHANNEL 1
#define OUT 2
#define SPAN 3
#define END 4
#define CHANNELS 5
#define HAS_TAIL 6

#define CHANNEL_BEGIN                                                                                                  \
    QMCU_FILL("r2", CHANNEL) QMCU_FILL("r0", PLANE) QMCU_FILL("r1", OUT) "ldm r2!, {r6-r12}\n ldr r3, [r2], #4\n"      \
    QMCU_FILL("lr", SPAN) QMCU_SPILL(CHANNEL, "r2") "add lr, r0, lr\n add r4, r0, #4\n" QMCU_SPILL(END, "lr")         \
    QMCU_SPILL(PLANE, "r4") "add r1, r1, r12\n mov r2, #0\n mov r4, #0\n mov r5, r3\n"

#define AT_END QMCU_FILL("r12", END) "cmp r0, r12\n"

#define CHANNEL_END(tail, again)                                                                                       \
    QMCU_FILL("r12", CHANNEL) "ldr r11, [r12], #4\n" QMCU_SPILL(CHANNEL, "r12") QMCU_FILL("r12", HAS_TAIL)             \
    "cmp r12, #0\n beq 9f\n" tail "9:\n" QMCU_FILL("r12", CHANNELS) "subs r12, r12, #1\n"                              \
    QMCU_SPILL(CHANNELS, "r12") "bne " again "\n"

/* Two words at a time; the second one first where their number is odd. */
#define ROW(bits)                                                                                                      \
    "push {r4-r11, lr}\n" QMCU_SPILL_BEGIN "sub r0, r0, #32\n" QMCU_SPILL(PLANE, "r0") QMCU_SPILL(OUT, "r2")           \
    "ldm r1, {r3-r7}\n lsl r5, r5, #7\n" QMCU_SPILL(CHANNEL, "r3") QMCU_SPILL(CHANNELS, "r4")                          \
    QMCU_SPILL(SPAN, "r5") QMCU_SPILL(HAS_TAIL, "r7") "cmp r6, #2\n beq 3f\n"                                          \
    "1:\n" CHANNEL_BEGIN "2:\n" WORD_##bits##_1 AT_END "bne 2b\n"                                                      \
    CHANNEL_END(TAIL_##bits("r2", "r3", "]"), "1b") "b 7f\n"                                                           \
    "3:\n" CHANNEL_BEGIN QMCU_FILL("lr", SPAN) "tst lr, #128\n bne 5f\n 4:\n" WORD_##bits##_2 "5:\n" WORD_##bits##_2   \
    AT_END "bne 4b\n" CHANNEL_END(TAIL_##bits("r4", "r5", ", #8]") TAIL_##bits("r2", "r3", "]"), "3b") "7:\n"          \
    QMCU_SPILL_END "pop {r4-r11, pc}\n"

typedef void row_t(const uint32_t *plane, const qmcu_poly_row_t *row, int8_t *staged);

#define ROW_FUNCTION(name, bits)                                                                                       \
    static __attribute__((naked)) void name(const uint32_t *plane, const qmcu_poly_row_t *row, int8_t *staged)         \
    {                                                                                                                  \
        __asm volatile(ROW(bits));                                                                                     \
    }

ROW_FUNCTION(row_4, 4)
ROW_FUNCTION(row_2, 2)

void qmcu_poly_row__dsp(const uint32_t *plane, const qmcu_poly_row_t *row, int8_t *staged)
{
    static row_t *const by_bits[2] = {row_2, row_4}; /* a table, as above */
    by_bits[row->bits >> 2](plane, row, staged);
}
#endif
