/* dot_nibbles_ref.c: portable products of values of 4 and 2 bits with weights of 4 bits. */
#include "primitives.h"
#include "words.h"

/* A weight, -8..7, from the lowest bits of a word. */
static inline int32_t weight_of(uint32_t word)
{
    return (int32_t)((word & 15) ^ 8) - 8;
}

void qmcu_dot_nibbles__ref(const int8_t *x, const int8_t *a, const int8_t *b, int32_t words, int32_t *sum)
{
    for (int32_t i = 0; i < words; ++i) {
        const uint32_t values = qmcu_word_at(x + 4 * i), of_a = qmcu_word_at(a + 4 * i), of_b = qmcu_word_at(b + 4 * i);
        for (int32_t bit = 0; bit < 32; bit += 4) {
            const int32_t value = (int32_t)(values >> bit & 15);
            sum[0] += value * weight_of(of_a >> bit);
            sum[1] += value * weight_of(of_b >> bit);
        }
    }
}

void qmcu_dot_nibbles_u2__ref(const int8_t *x, const int8_t *a, const int8_t *b, int32_t words, int32_t *sum)
{
    for (int32_t i = 0; i < 2 * words; ++i) { /* words of weights: four values, and four that are eight further */
        const uint32_t values = qmcu_word_at(x + 4 * (i >> 1)) >> (i & 1) * 8;
        const uint32_t of_a = qmcu_word_at(a + 4 * i), of_b = qmcu_word_at(b + 4 * i);
        for (int32_t place = 0; place < 8; ++place) {
            const int32_t value = (int32_t)(values >> (2 * place + (place & 4) * 2) & 3);
            sum[0] += value * weight_of(of_a >> 4 * place);
            sum[1] += value * weight_of(of_b >> 4 * place);
        }
    }
}
