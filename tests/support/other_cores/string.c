/* string.c: byte by byte. The empty assembly keeps a loop from becoming a call of the function that it is in. */
#include <string.h>

#include <stdint.h>

#define OPAQUE() __asm__ volatile("")

void *memcpy(void *to, const void *from, size_t bytes)
{
    uint8_t *target = to;
    for (const uint8_t *source = from; bytes > 0; --bytes) {
        *target++ = *source++;
        OPAQUE();
    }
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    uint8_t *target = to;
    const uint8_t *source = from;
    if ((uintptr_t)target - (uintptr_t)source >= bytes) {
        return memcpy(to, from, bytes);
    }
    for (; bytes > 0; --bytes) {
        target[bytes - 1] = source[bytes - 1];
        OPAQUE();
    }
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    for (uint8_t *target = to; bytes > 0; --bytes) {
        *target++ = (uint8_t)value;
        OPAQUE();
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    for (const uint8_t *left = a, *right = b; bytes > 0; --bytes, ++left, ++right) {
        if (*left != *right) {
            return *left - *right;
        }
    }
    return 0;
}
