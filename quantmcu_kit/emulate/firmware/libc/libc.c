/* libc.c: the few functions that generated libraries, compilers and tests expect of a C library. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "semihosting.h"

/* Compilers know what memcpy and memset do, and replace loops and functions like these by calls of them. */
#define OPAQUE() __asm__ volatile("" ::: "memory")
#define INLINE static inline __attribute__((always_inline))

#ifdef __ARM_FEATURE_UNALIGNED
typedef struct {
    uint32_t value;
} __attribute__((packed, may_alias)) word_t;
#define WORDS_ALLOWED(misaligned) 1
#else
typedef struct {
    uint32_t value;
} __attribute__((may_alias)) word_t;
#define WORDS_ALLOWED(misaligned) ((misaligned) == 0)
#endif

enum { WORD = sizeof(word_t), BLOCK = 4 * WORD };

INLINE uintptr_t misalignment(const void *address)
{
    return (uintptr_t)address % WORD;
}

/* Reads a block before it writes it, from the low end up. */
INLINE void *copy(void *to, const void *from, size_t bytes)
{
    uint8_t *target = (uint8_t *)to;
    const uint8_t *source = (const uint8_t *)from;
    if (bytes >= BLOCK && WORDS_ALLOWED(misalignment(to) ^ misalignment(from))) {
        for (; misalignment(target) != 0; --bytes) {
            *target++ = *source++;
            OPAQUE();
        }
        for (; bytes >= BLOCK; bytes -= BLOCK, target += BLOCK, source += BLOCK) {
            const word_t *const s = (const word_t *)source;
            word_t *const t = (word_t *)target;
            const word_t a = s[0], b = s[1], c = s[2], d = s[3];
            t[0] = a;
            t[1] = b;
            t[2] = c;
            t[3] = d;
            OPAQUE();
        }
        for (; bytes >= WORD; bytes -= WORD, target += WORD, source += WORD) {
            *(word_t *)target = *(const word_t *)source;
            OPAQUE();
        }
    }
    for (; bytes > 0; --bytes) {
        *target++ = *source++;
        OPAQUE();
    }
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    uint8_t *const target = (uint8_t *)to;
    const uint8_t *const source = (const uint8_t *)from;
    if ((uintptr_t)target - (uintptr_t)source >= bytes) { /* the target begins below the source, or past its end */
        return copy(to, from, bytes);
    }
    for (; bytes > 0; --bytes) {
        target[bytes - 1] = source[bytes - 1];
        OPAQUE();
    }
    return to;
}

INLINE void *fill(void *to, int value, size_t bytes)
{
    uint8_t *next = (uint8_t *)to;
    const word_t word = {(uint8_t)value * 0x01010101u};
    if (bytes >= BLOCK) {
        for (; misalignment(next) != 0; --bytes) {
            *next++ = (uint8_t)value;
            OPAQUE();
        }
        for (; bytes >= WORD; bytes -= WORD, next += WORD) {
            *(word_t *)next = word;
            OPAQUE();
        }
    }
    for (; bytes > 0; --bytes) {
        *next++ = (uint8_t)value;
        OPAQUE();
    }
    return to;
}

void *memcpy(void *to, const void *from, size_t bytes)
{
    return copy(to, from, bytes);
}

void *memset(void *to, int value, size_t bytes)
{
    return fill(to, value, bytes);
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const uint8_t *left = (const uint8_t *)a, *right = (const uint8_t *)b;
    for (; bytes > 0; --bytes, ++left, ++right) {
        if (*left != *right) {
            return *left < *right ? -1 : 1;
        }
    }
    return 0;
}

#ifdef __clang__ /* It calls them by these names: Run-time ABI for the Arm Architecture, 4.3.4. Results are ignored. */
#define ALIAS(of) __attribute__((alias(#of)))
void *__aeabi_memcpy(void *to, const void *from, size_t bytes) ALIAS(memcpy);
void *__aeabi_memcpy4(void *to, const void *from, size_t bytes) ALIAS(memcpy);
void *__aeabi_memcpy8(void *to, const void *from, size_t bytes) ALIAS(memcpy);
void *__aeabi_memmove(void *to, const void *from, size_t bytes) ALIAS(memmove);
void *__aeabi_memmove4(void *to, const void *from, size_t bytes) ALIAS(memmove);
void *__aeabi_memmove8(void *to, const void *from, size_t bytes) ALIAS(memmove);

void *__aeabi_memset(void *to, size_t bytes, int value)
{
    return fill(to, value, bytes);
}

void *__aeabi_memclr(void *to, size_t bytes)
{
    return fill(to, 0, bytes);
}
void *__aeabi_memset4(void *to, size_t bytes, int value) ALIAS(__aeabi_memset);
void *__aeabi_memset8(void *to, size_t bytes, int value) ALIAS(__aeabi_memset);
void *__aeabi_memclr4(void *to, size_t bytes) ALIAS(__aeabi_memclr);
void *__aeabi_memclr8(void *to, size_t bytes) ALIAS(__aeabi_memclr);
#endif

size_t strlen(const char *text)
{
    const char *end = text;
    for (; *end != '\0'; ++end) {
        OPAQUE();
    }
    return (size_t)(end - text);
}

int puts(const char *text)
{
    sys_write0(text);
    sys_write0("\n");
    return 0;
}
