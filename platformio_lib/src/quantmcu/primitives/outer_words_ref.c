/* outer_words_ref.c: eight channels of two or three pixels at a time become words. See core/outer.h. */
#include "primitives.h"

static uint32_t words_of(const int8_t *const *x, int32_t pixels, int32_t bits, int32_t units, uint32_t *words,
                         int32_t step)
{
    const int32_t distance = pixels == 2 ? 14 : pixels == 3 ? 10 : 7;
    uint32_t sum = 0;
    for (int32_t k = 0; k < units * QMCU_OUTER_UNIT; ++k) {
        uint32_t word = 0;
        for (int32_t p = 0; p < pixels; ++p) {
            const uint32_t byte = (uint8_t)x[p][(k * bits) >> 3];
            word |= (byte >> ((k * bits) & 7) & ((1u << bits) - 1u)) << (distance * p);
        }
        words[k / QMCU_OUTER_UNIT * step + k % QMCU_OUTER_UNIT] = word;
        sum += word;
    }
    return sum;
}

uint32_t qmcu_outer_words_u4x2__ref(const int8_t *const *x, int32_t units, uint32_t *words, int32_t step)
{
    return words_of(x, 2, 4, units, words, step);
}

uint32_t qmcu_outer_words_u4x3__ref(const int8_t *const *x, int32_t units, uint32_t *words, int32_t step)
{
    return words_of(x, 3, 4, units, words, step);
}

uint32_t qmcu_outer_words_u2x2__ref(const int8_t *const *x, int32_t units, uint32_t *words, int32_t step)
{
    return words_of(x, 2, 2, units, words, step);
}

uint32_t qmcu_outer_words_u2x3__ref(const int8_t *const *x, int32_t units, uint32_t *words, int32_t step)
{
    return words_of(x, 3, 2, units, words, step);
}

uint32_t qmcu_outer_words_u2x4__ref(const int8_t *const *x, int32_t units, uint32_t *words, int32_t step)
{
    return words_of(x, 4, 2, units, words, step);
}
