/* words.h: four bytes of memory as a word, the first one lowest; they need not be aligned.
 *
 * One access where the core has unaligned ones. Elsewhere compilers make a function call of such a memcpy, which takes
 * longer than the bytes one by one. */
#ifndef QMCU_PRIMITIVES_WORDS_H
#define QMCU_PRIMITIVES_WORDS_H

#include <stdint.h>
#include <string.h>

#if defined(__ARM_FEATURE_UNALIGNED) && !defined(__ARM_BIG_ENDIAN)
#define QMCU_UNALIGNED_WORDS 1
#else
#define QMCU_UNALIGNED_WORDS 0
#endif

static inline uint32_t qmcu_word_at(const int8_t *bytes)
{
#if QMCU_UNALIGNED_WORDS
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
#else
    return (uint32_t)(uint8_t)bytes[0] | (uint32_t)(uint8_t)bytes[1] << 8 | (uint32_t)(uint8_t)bytes[2] << 16 |
           (uint32_t)(uint8_t)bytes[3] << 24;
#endif
}

static inline void qmcu_put_word(uint32_t word, int8_t *bytes)
{
#if QMCU_UNALIGNED_WORDS
    memcpy(bytes, &word, sizeof word);
#else
    bytes[0] = (int8_t)(uint8_t)word;
    bytes[1] = (int8_t)(uint8_t)(word >> 8);
    bytes[2] = (int8_t)(uint8_t)(word >> 16);
    bytes[3] = (int8_t)(uint8_t)(word >> 24);
#endif
}

#endif
