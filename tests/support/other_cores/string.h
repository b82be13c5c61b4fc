/* string.h for compilers that bring no C library. */
#ifndef OTHER_CORES_STRING_H
#define OTHER_CORES_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

#endif
