/* dot_nibbles_ref.c: portable products of values of 4 bits with weights of 4 bits. */
#include "primitives.h"
#include "words.h"

/* 0..15 and -8..7. */
static inline int32_t product(uint32_t x, uint32_t weight)
{
    return (int32_t)(x & 15) * ((int32_t)((weight & 15) ^ 8) - 8);
}

void qmcu_dot_nibbles__ref(const int8_t *x, const int8_t *a, const int8_t *b, int32_t words, int32_t *sum)
{
    for (int32_t i = 0; i < words; ++i) {
        const uint32_t values = qmcu_word_at(x + 4 * i), of_a = qmcu_word_at(a + 4 * i), of_b = qmcu_word_at(b + 4 * i);
        for (int32_t bit = 0; bit < 32; bit += 4) {
            sum[0] += product(values >> bit, of_a >> bit);
            sum[1] += product(values >> bit, of_b >> bit);
        }
    }
}
