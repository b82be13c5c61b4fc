/* qemu_tricky.c: what emulators of a Cortex-M get wrong first. Every result goes to the console as a 32-bit word.
 * Inline assembly pins the instructions; compilers choose others as they like. */
#include "qemu_tricky.h"

#include <string.h>

#include "semihosting.h"

volatile const uint32_t words[WORDS] = {
    0, 1, 2, 31, 32, 33, 255, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF,
};

static uint32_t results[512];
static size_t count;

static void flush(void)
{
    sys_write(results, count * sizeof results[0]);
    count = 0;
}

void note(uint32_t value)
{
    results[count++] = value;
    if (count == LENGTH(results)) {
        flush();
    }
}

void note64(uint64_t value)
{
    note((uint32_t)value);
    note((uint32_t)(value >> 32));
}

static void test_shifts_by_register(void)
{
    for (size_t i = 0; i < LENGTH(words); ++i) {
        for (size_t j = 0; j < LENGTH(words); ++j) {
            uint32_t left = words[i], right = words[i], arithmetic = words[i], rotated = words[i];
            const uint32_t by = words[j];
            __asm__(".syntax unified\n\tlsls %0, %1" : "+l"(left) : "l"(by) : "cc");
            __asm__(".syntax unified\n\tlsrs %0, %1" : "+l"(right) : "l"(by) : "cc");
            __asm__(".syntax unified\n\tasrs %0, %1" : "+l"(arithmetic) : "l"(by) : "cc");
            __asm__(".syntax unified\n\trors %0, %1" : "+l"(rotated) : "l"(by) : "cc");
            note(left ^ right * 3 ^ arithmetic * 5 ^ rotated * 7);
        }
    }
}

static void test_carries(void)
{
    for (size_t i = 0; i < LENGTH(words); ++i) {
        for (size_t j = 0; j < LENGTH(words); ++j) {
            const uint64_t a = (uint64_t)words[i] << 32 | words[j], b = (uint64_t)words[j] << 32 | words[i];
            note64(a + b);
            note64(a - b);
            note((a < b) + 2 * ((int64_t)a < (int64_t)b));
        }
    }
}

static void test_divisions(void)
{
    for (size_t i = 0; i < LENGTH(words); ++i) {
        for (size_t j = 1; j < LENGTH(words); ++j) {
            const uint32_t a = words[i], b = words[j];
            const uint64_t wide = (uint64_t)a << 29 | b;
            note(a / b);
            note(a % b);
            note((uint32_t)((int32_t)(a >> 1) / (int32_t)b));
            note64(wide / b);
            note64(wide % (b + (uint64_t)a));
            note64((uint64_t)((int64_t)(wide ^ 0x8000000000000000u) / (int32_t)b));
        }
    }
}

static uint32_t ackermann(uint32_t m, uint32_t n)
{
    return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

static uint32_t add_one(uint32_t x)
{
    return x + 1;
}

static uint32_t twice(uint32_t x)
{
    return 2 * x;
}

static uint32_t (*const volatile functions[])(uint32_t) = {add_one, twice, add_one, twice};

static void test_calls(void)
{
    uint32_t x = ackermann(2, 5);
    note(x);
    for (size_t i = 0; i < 64; ++i) {
        x = functions[i % LENGTH(functions)](x);
    }
    note(x);
}

/* A dense switch: a table of branches. */
static uint32_t switched(uint32_t x)
{
    switch (x) {
    case 0: return x + 17;
    case 1: return x * 5;
    case 2: note(x); return 3;
    case 3: return x << 9;
    case 4: return ~x;
    case 5: note(~x); return x - 90;
    case 6: return x * x;
    case 7: return x ^ 0x1234;
    case 8: return 8;
    default: return x / 3;
    }
}

static void test_copies(void)
{
    static uint8_t from[96], to[96];
    for (size_t i = 0; i < sizeof from; ++i) {
        from[i] = (uint8_t)(i * 37 + 11);
    }
    for (size_t offset = 0; offset < 5; ++offset) {
        for (size_t bytes = 0; bytes < 37; bytes += offset + 1) {
            uint32_t sum = 0;
            memset(to, (int)bytes, sizeof to);
            memcpy(to + offset, from + 3 * offset, bytes);
            memmove(to + 40, to + 40 - offset, bytes);
            memmove(to + 8 - offset, to + 8, bytes);
            for (size_t i = 0; i < sizeof to; ++i) {
                sum = sum * 31 + to[i];
            }
            note(sum ^ (uint32_t)memcmp(to, from, 9));
        }
    }
}

static void test_load_multiple(void)
{
    uint32_t block[8], sum;
    for (size_t i = 0; i < LENGTH(block); ++i) {
        block[i] = (uint32_t)i * 0x01030507u;
    }
    __asm__ volatile(".syntax unified\n\t"
                     "mov r0, %1\n\t"
                     "ldmia r0!, {r1, r2, r3}\n\t"
                     "push {r1, r2, r3}\n\t"
                     "ldmia r0!, {r1, r2}\n\t"
                     "eors r1, r2\n\t"
                     "pop {r2, r3}\n\t"
                     "eors r1, r2\n\t"
                     "eors r1, r3\n\t"
                     "pop {r2}\n\t"
                     "subs r0, #8\n\t"
                     "stmia r0!, {r1, r2}\n\t"
                     "subs r0, r0, %1\n\t"
                     "adds r1, r0\n\t"
                     "mov %0, r1"
                     : "=h"(sum)
                     : "l"(block)
                     : "r0", "r1", "r2", "r3", "cc", "memory");
    note(sum);
    for (size_t i = 0; i < LENGTH(block); ++i) {
        note(block[i]);
    }
}

static void test_bytes(void)
{
    for (size_t i = 0; i < LENGTH(words); ++i) {
        uint32_t x = words[i] * 0x9E3779B9u, reversed, halves, half;
        __asm__("rev %0, %1" : "=l"(reversed) : "l"(x));
        __asm__("rev16 %0, %1" : "=l"(halves) : "l"(x));
        __asm__("revsh %0, %1" : "=l"(half) : "l"(x));
        note(reversed ^ halves * 3 ^ half * 5);
        note((uint32_t)(int8_t)x + (uint8_t)(x >> 3) + (uint32_t)(int16_t)(x >> 5) + (uint16_t)(x >> 7));
    }
}

int main(void)
{
    flush(); /* the console has been used: an emulator may go on differently after it */
    test_shifts_by_register();
    test_carries();
    test_divisions();
    test_calls();
    for (uint32_t i = 0; i < 12; ++i) {
        note(switched(i));
    }
    test_copies();
    test_load_multiple();
    test_bytes();
    test_thumb2();
    flush();
    return 42;
}
