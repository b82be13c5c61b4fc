/* qemu_tricky_thumb2.c: the instructions that Armv6-M does not have: conditional execution, wide multiplies, unaligned
 * accesses, tables; those of the DSP and floating-point extensions where the core has them. */
#include <string.h>

#include "qemu_tricky.h"

#if __ARM_ARCH_ISA_THUMB >= 2
/* Skipped instructions count as executed; the accesses that they would have made do not happen. */
static void test_conditional_execution(void)
{
    static uint32_t place;
    for (size_t i = 0; i < LENGTH(words); ++i) {
        uint32_t x = words[i], y = 7;
        uint32_t *const skipped_above_2 = x > 2 ? (uint32_t *)0xF0000001u : &place;
        place = words[i];
        __asm__ volatile("cmp %0, #2\n\t"
                         "itete hi\n\t"
                         "addhi %1, %1, #5\n\t"
                         "ldrls %1, [%3]\n\t"
                         "lslhi %1, %1, #3\n\t"
                         "addls %1, %1, #1\n\t"
                         "cmp %1, #96\n\t"
                         "ittt ne\n\t"
                         "ldrne %0, [%2]\n\t"
                         "strne %1, [%2]\n\t"
                         "cmpne %0, #3"
                         : "+r"(x), "+r"(y)
                         : "r"(skipped_above_2), "r"(&words[4])
                         : "cc", "memory");
        note(place);
        note(x * 3 + y);
        x = words[i];
        __asm__ volatile("cmp %0, #32\n\t"
                         "it lt\n\t"
                         "blt 1f\n\t"
                         "adds %0, #100\n\t"
                         "cbz %1, 1f\n\t"
                         "it vs\n\t"
                         "addvs %0, #1\n"
                         "1:"
                         : "+l"(x)
                         : "l"(y)
                         : "cc");
        note(x);
    }
}

/* Returns from within an IT block; what follows the call does not depend on its condition. */
__attribute__((naked, noinline)) static uint32_t return_in_it_block(uint32_t x, const uint32_t *word)
{
    /* x is in r0, word in r1 */
    __asm__ volatile("push {r4, lr}\n\t"
                     "cmp r0, #2\n\t"
                     "itt ls\n\t"
                     "ldrls r0, [r1]\n\t"
                     "popls {r4, pc}\n\t"
                     "adds r0, #3\n\t"
                     "pop {r4, pc}");
}

static void test_returns(void)
{
    for (uint32_t i = 0; i < 6; ++i) {
        static uint32_t word = 1000;
        uint32_t x = return_in_it_block(i, &word);
        __asm__ volatile("mov %0, %1" : "=r"(x) : "r"(x + i));
        note(x);
    }
}

static void test_wide_multiplies(void)
{
    for (size_t i = 0; i < LENGTH(words); ++i) {
        for (size_t j = 0; j < LENGTH(words); ++j) {
            uint32_t low = words[j], high = words[i];
            __asm__("umlal %0, %1, %2, %3" : "+r"(low), "+r"(high) : "r"(words[i]), "r"(words[j]));
            __asm__("smlal %0, %1, %2, %3" : "+r"(low), "+r"(high) : "r"(words[j]), "r"(high));
            note(low ^ high * 3);
            note64((uint64_t)words[i] * words[j] + (uint64_t)((int64_t)(int32_t)words[i] * (int32_t)words[j]));
            __asm__("mls %0, %1, %2, %0" : "+r"(low) : "r"(words[i]), "r"(high));
            note(low);
        }
    }
}

/* The architecture's results: division by zero gives 0, INT32_MIN / -1 itself. */
static void test_divide_instructions(void)
{
    for (size_t i = 0; i < LENGTH(words); ++i) {
        for (size_t j = 0; j < LENGTH(words); ++j) {
            uint32_t quotient, signed_quotient;
            __asm__("udiv %0, %1, %2" : "=r"(quotient) : "r"(words[i]), "r"(words[j]));
            __asm__("sdiv %0, %1, %2" : "=r"(signed_quotient) : "r"(words[i]), "r"(words[j]));
            note(quotient ^ signed_quotient * 3);
        }
    }
}

static void test_unaligned_accesses(void)
{
    static uint8_t bytes[32];
    for (uint32_t offset = 0; offset < 8; ++offset) {
        uint8_t *const place = bytes + offset;
        uint32_t word, half, sign, next;
        __asm__ volatile("str %1, [%0]\n\tstrh %1, [%0, #5]" : : "r"(place), "r"(0x89ABCDEFu + offset) : "memory");
        __asm__ volatile("ldr %0, [%1, #1]" : "=r"(word) : "r"(place) : "memory");
        __asm__ volatile("ldrh %0, [%1, #3]" : "=r"(half) : "r"(place) : "memory");
        __asm__ volatile("ldrsh %0, [%1, %2]" : "=r"(sign) : "r"(bytes), "r"(offset) : "memory");
        __asm__ volatile("ldr %0, [%1, %2, lsl #2]" : "=r"(next) : "r"(place), "r"(offset / 2) : "memory");
        note(word ^ half * 3 ^ sign * 5 ^ next * 7);
    }
}

/* A block that begins with an access of several words, which must be aligned, and goes on with one that need not be. */
__attribute__((naked, noinline)) static uint32_t load_after_push(const uint8_t *place, uint32_t *out)
{
    /* place is in r0, out in r1 */
    __asm__ volatile("push {r4, lr}\n\t"
                     "ldr r2, [r0, #1]\n\t"
                     "cmp r2, #0\n\t"
                     "it ne\n\t"
                     "ldrne r4, [r0, #2]\n\t"
                     "str r4, [r1]\n\t"
                     "mov r0, r2\n\t"
                     "pop {r4, pc}");
}

static void test_loads_after_push(void)
{
    static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint32_t out = 0;
    note(load_after_push(bytes, &out));
    note(out);
}

static void test_doublewords(void)
{
    uint32_t block[6] = {1, 20, 300, 4000, 50000, 600000}, low, high;
    uint32_t *place = block;
    __asm__ volatile("ldrd %0, %1, [%2], #8" : "=r"(low), "=r"(high), "+r"(place) : : "memory");
    note(low + high);
    __asm__ volatile("strd %1, %0, [%2, #4]!" : : "r"(low), "r"(high), "r"(place) : "memory");
    __asm__ volatile("ldrd %0, %1, [%2, #-8]" : "=r"(low), "=r"(high) : "r"(block + 4) : "memory");
    note((uint32_t)(place - block) + low * 3 + high);
    for (size_t i = 0; i < LENGTH(block); ++i) {
        note(block[i]);
    }
}

static void test_bit_fields(void)
{
    for (size_t i = 0; i < LENGTH(words); ++i) {
        uint32_t x = words[i] ^ 0x5A0F, field, sign, zeros, reversed, limited, positive;
        __asm__("ubfx %0, %1, #3, #11" : "=r"(field) : "r"(x));
        __asm__("sbfx %0, %1, #9, #23" : "=r"(sign) : "r"(x));
        __asm__("clz %0, %1" : "=r"(zeros) : "r"(x >> (i + 1)));
        __asm__("rbit %0, %1" : "=r"(reversed) : "r"(x));
        __asm__("ssat %0, #9, %1, asr #2" : "=r"(limited) : "r"(x));
        __asm__("usat %0, #7, %1, lsl #1" : "=r"(positive) : "r"(x));
        __asm__("bfi %0, %1, #5, #13" : "+r"(x) : "r"(field));
        __asm__("bfc %0, #20, #4" : "+r"(x));
        note(field ^ sign * 3 ^ zeros * 5 ^ reversed * 7 ^ limited * 9 ^ positive * 11 ^ x);
    }
}

/* Branches through tables of bytes and of halfwords. */
static void test_table_branches(void)
{
    for (uint32_t i = 0; i < 4; ++i) {
        uint32_t x = i, y = i;
        __asm__ volatile("tbb [pc, %1]\n"
                         "1: .byte (2f - 1b) / 2, (3f - 1b) / 2, (4f - 1b) / 2, (2f - 1b) / 2\n"
                         "2: adds %0, #10\n"
                         "3: adds %0, #20\n"
                         "4: adds %0, #40\n"
                         : "+l"(x)
                         : "r"(i)
                         : "cc");
        __asm__ volatile("tbh [pc, %1, lsl #1]\n"
                         "1: .short (2f - 1b) / 2, (3f - 1b) / 2, (4f - 1b) / 2, (3f - 1b) / 2\n"
                         "2: adds %0, #1\n"
                         "3: adds %0, #2\n"
                         "4: adds %0, #4\n"
                         : "+l"(y)
                         : "r"(i)
                         : "cc");
        note(x * 256 + y);
    }
}

static void test_exclusive_access(void)
{
    static volatile uint32_t lock = 5;
    uint32_t old, failed;
    do {
        __asm__ volatile("ldrex %0, [%1]" : "=r"(old) : "r"(&lock) : "memory");
        __asm__ volatile("strex %0, %2, [%1]" : "=&r"(failed) : "r"(&lock), "r"(old * 3) : "memory");
    } while (failed);
    __asm__ volatile("clrex\n\tstrex %0, %2, [%1]" : "=&r"(failed) : "r"(&lock), "r"(old) : "memory");
    note(lock + 100 * failed);
}
#endif

#ifdef __ARM_FEATURE_DSP
static void test_packed_arithmetic(void)
{
    for (size_t i = 0; i < LENGTH(words); ++i) {
        for (size_t j = 0; j < LENGTH(words); ++j) {
            const uint32_t a = words[i] * 0x01010101u, b = words[j] ^ 0x80FF7F01u;
            uint32_t x = words[j], y, z, low = a, high = b;
            __asm__("smlad %0, %1, %2, %0" : "+r"(x) : "r"(a), "r"(b));
            __asm__("smlsdx %0, %1, %2, %0" : "+r"(x) : "r"(b), "r"(a));
            __asm__("smlald %0, %1, %2, %3" : "+r"(low), "+r"(high) : "r"(a), "r"(b));
            note(x ^ low * 3 ^ high * 5);
            __asm__("sadd8 %0, %2, %3\n\tsel %1, %2, %3" : "=&r"(y), "=r"(z) : "r"(a), "r"(b) : "cc");
            note(y ^ z * 3);
            __asm__("uqsub8 %0, %1, %2" : "=r"(y) : "r"(a), "r"(b));
            __asm__("shadd16 %0, %1, %2" : "=r"(z) : "r"(a), "r"(b));
            note(y ^ z * 3);
            __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(y) : "r"(a), "r"(b));
            __asm__("pkhtb %0, %1, %2, asr #5" : "=r"(z) : "r"(a), "r"(b));
            note(y ^ z * 3);
            __asm__("qdadd %0, %1, %2" : "=r"(y) : "r"(a), "r"(b));
            __asm__("smmlar %0, %1, %2, %3" : "=r"(z) : "r"(a), "r"(b), "r"(x));
            note(y ^ z * 3);
            __asm__("smlawt %0, %1, %2, %3" : "=r"(y) : "r"(a), "r"(b), "r"(z));
            __asm__("umaal %0, %1, %2, %3" : "+r"(low), "+r"(high) : "r"(a), "r"(b));
            __asm__("usada8 %0, %1, %2, %3" : "=r"(z) : "r"(a), "r"(b), "r"(y));
            __asm__("ssat16 %0, #7, %1" : "=r"(x) : "r"(a));
            note(y ^ z * 3 ^ low * 5 ^ high * 7 ^ x * 9);
        }
    }
}
#endif

#ifdef __ARM_FP
static uint32_t bits(float value)
{
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    return word;
}

static void test_floats(void)
{
    static volatile const float reals[] = {0.0f, -0.0f, 1.0f, -1.5f, 3.1415927f, 1e-40f, -2.5e9f, 3e38f};
    for (size_t i = 0; i < LENGTH(reals); ++i) {
        const float a = reals[i];
        float root;
        __asm__("vsqrt.f32 %0, %1" : "=t"(root) : "t"(a < 0 ? -a : a));
        note(bits(root));
        note((uint32_t)(int32_t)(a < 2e9f && a > -2e9f ? a : 2.0f));
        for (size_t j = 0; j < LENGTH(reals); ++j) {
            const float b = reals[j];
            float fused = a;
            __asm__("vfma.f32 %0, %1, %2" : "+t"(fused) : "t"(a), "t"(b));
            note(bits(a + b) ^ bits(a * b) * 3 ^ bits(fused) * 5);
            note(b == 0.0f ? 0 : bits(a / b));
            note((a < b) + 2 * (a == b) + 4 * (a >= b));
            note(bits((float)words[i] - b) ^ bits((float)(int32_t)words[j] * a));
        }
    }
}

static void test_float_registers(void)
{
    float block[8];
    for (size_t i = 0; i < LENGTH(block); ++i) {
        block[i] = (float)(i * i) + 0.25f;
    }
    __asm__ volatile("vldmia %0, {s0-s7}\n\t"
                     "vpush {s2-s4}\n\t"
                     "vadd.f32 s0, s1, s2\n\t"
                     "vmov r2, r3, s0, s1\n\t"
                     "vmov s4, s5, r3, r2\n\t"
                     "vpop {s1-s3}\n\t"
                     "vcmp.f32 s0, s1\n\t"
                     "vmrs APSR_nzcv, FPSCR\n\t"
                     "it gt\n\t"
                     "vmovgt.f32 s6, s0\n\t"
                     "vstmia %0, {s0-s7}"
                     :
                     : "r"(block)
                     : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "r2", "r3", "cc", "memory");
    for (size_t i = 0; i < LENGTH(block); ++i) {
        note(bits(block[i]));
    }
}
#endif

void test_thumb2(void)
{
#if __ARM_ARCH_ISA_THUMB >= 2
    test_conditional_execution();
    test_returns();
    test_wide_multiplies();
    test_divide_instructions();
    test_unaligned_accesses();
    test_loads_after_push();
    test_doublewords();
    test_bit_fields();
    test_table_branches();
    test_exclusive_access();
#endif
#ifdef __ARM_FEATURE_DSP
    test_packed_arithmetic();
#endif
#ifdef __ARM_FP
    test_floats();
    test_float_registers();
#endif
}
