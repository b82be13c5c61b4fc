/* qemu_tricky.h: what the two files of the program share. */
#ifndef QEMU_TRICKY_H
#define QEMU_TRICKY_H

#include <stddef.h>
#include <stdint.h>

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])
#define WORDS 11

/* Values that compilers do not see through. */
extern volatile const uint32_t words[WORDS];

/* Adds a result to the output. */
void note(uint32_t value);
void note64(uint64_t value);

/* What Armv6-M does not have, as far as the core does. */
void test_thumb2(void);

#endif
