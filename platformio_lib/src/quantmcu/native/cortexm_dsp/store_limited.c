/* store_limited.c: clamps and stores of saturated values, four at a time, on Cortex-M with DSP instructions. */
#include "../../primitives/primitives.h"

#if QMCU_HAVE_DSP

#include <string.h>

#include "../../primitives/words.h"

/* The greater of each pair of int8 values; the smaller. */
static inline uint32_t greater(uint32_t a, uint32_t b)
{
    uint32_t result;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(result) : "r"(a), "r"(b) : "cc");
    return result;
}

static inline uint32_t smaller(uint32_t a, uint32_t b)
{
    uint32_t result;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %2, %1" : "=&r"(result) : "r"(a), "r"(b) : "cc");
    return result;
}

static inline uint32_t packed_4(uint32_t word)
{
    word = (word | word >> 4) & 0x00ff00ffu;
    return word | word >> 8;
}

static inline uint32_t packed_2(uint32_t word)
{
    word = (word | word >> 6) & 0x000f000fu;
    return word | word >> 12;
}

static inline uint32_t eight_4(const int8_t *values, uint32_t low, uint32_t high)
{
    const uint32_t first = smaller(greater(qmcu_word_at(values), low), high);
    const uint32_t second = smaller(greater(qmcu_word_at(values + 4), low), high);
    return (packed_4(first) & 0xffffu) | packed_4(second) << 16;
}

void qmcu_store_limited__dsp(int8_t *values, const qmcu_limits_t *limits, int8_t *out)
{
    const uint32_t low = (uint32_t)(uint8_t)limits->low * 0x01010101u;
    const uint32_t high = (uint32_t)(uint8_t)limits->high * 0x01010101u;
    const int32_t bits = limits->bits, rest = limits->count & 3;
    const int8_t *end = values + (limits->count - rest);
    for (; bits == 8 && values != end; values += 4, out += 4) {
        qmcu_put_word(smaller(greater(qmcu_word_at(values), low), high), out);
    }
    for (; bits == 4 && end - values >= 16; values += 16, out += 8) {
        const uint32_t first = eight_4(values, low, high), second = eight_4(values + 8, low, high);
        qmcu_put_word(first, out);
        qmcu_put_word(second, out + 4);
    }
    for (; bits == 4 && values != end; values += 4, out += 2) {
        const uint16_t two = (uint16_t)packed_4(smaller(greater(qmcu_word_at(values), low), high));
        memcpy(out, &two, sizeof two);
    }
    for (; values != end; values += 4, ++out) {
        *out = (int8_t)(uint8_t)packed_2(smaller(greater(qmcu_word_at(values), low), high));
    }
    if (rest == 0) {
        return;
    }
    uint32_t word = 0;
    memcpy(&word, values, (size_t)rest);
    word = smaller(greater(word, low), high) & 0xffffffffu >> (32 - 8 * rest); /* what lies behind is zero */
    word = bits == 8 ? word : bits == 4 ? packed_4(word) : packed_2(word);
    for (int32_t left = rest * bits; left > 0; left -= 8, word >>= 8) {
        *out++ = (int8_t)(uint8_t)word;
    }
}

#endif
