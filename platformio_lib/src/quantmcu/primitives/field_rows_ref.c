/* field_rows_ref.c: rows of values below 8 bits as words, and their products, in portable C. See core/field_rows.h. */
#include "../core/requant_lane.h"
#include "nested.h"
#include "primitives.h"

static uint32_t words_of(const int8_t *x, int32_t units, int32_t bits, uint32_t *words)
{
    const uint32_t mask = (1u << bits) - 1u;
    uint32_t sum = 0;
    for (; units > 0; --units, x += bits) {
        for (int32_t i = 0; i < QMCU_FIELD_UNIT_WORDS; ++i) {
            const int32_t bit = i * bits, later = bit + QMCU_FIELD_UNIT_WORDS * bits;
            const uint32_t low = (uint32_t)(uint8_t)x[bit >> 3] >> (bit & 7) & mask;
            const uint32_t high = (uint32_t)(uint8_t)x[later >> 3] >> (later & 7) & mask;
            *words++ = low | high << 16;
            sum += low + high;
        }
    }
    return sum;
}

uint32_t qmcu_field_words_u4__ref(const int8_t *x, int32_t units, uint32_t *words)
{
    return words_of(x, units, 4, words);
}

uint32_t qmcu_field_words_u2__ref(const int8_t *x, int32_t units, uint32_t *words)
{
    return words_of(x, units, 2, words);
}

/* A word of a column times the fields of both lanes of weights. */
static uint32_t product(uint32_t weights, uint32_t word)
{
    const uint32_t fields = weights & 0xf00ff00fu;
    return (uint32_t)(qmcu_low_lane(fields) * qmcu_low_lane(word) + qmcu_high_lane(fields) * qmcu_high_lane(word));
}

void qmcu_field_rows_i4__ref(const uint32_t *column, const qmcu_field_rows_t *rows, int8_t *out)
{
    const int32_t *weights = rows->weights, *lanes = rows->lanes;
    for (int32_t group = 0; group < rows->groups + rows->rest; ++group) {
        const int32_t count = group < rows->groups ? 4 : 2; /* accumulators: of two channels each */
        const uint32_t *word = column + QMCU_FIELD_HEAD;
        uint32_t sum[4], even[4];
        for (int32_t i = 0; i < count; ++i) {
            even[i] = column[0] & 0xffffu;
            sum[i] = column[1];
        }
        while (word[1] != 0) {
            const uint32_t start = *word++;
            for (int32_t i = 0; i < count; ++i) {
                sum[i] = (sum[i] & 0xfffff000u) | start;
            }
            for (uint32_t left = *word++; left > 0; --left, ++word) {
                for (int32_t i = 0; i < count; i += 2) {
                    const uint32_t both = (uint32_t)*weights++;
                    sum[i] += product(both, *word);
                    sum[i + 1] += product(both >> 8 | both << 24, *word);
                }
            }
            for (int32_t i = 0; i < count; ++i) {
                even[i] = (even[i] + (sum[i] & 0xfffu)) & 0xffffu;
            }
        }
        for (int32_t i = 0; i < count; i += 2, lanes += 4 * QMCU_LANE_WORDS, out += 4) {
            const int32_t sums[4] = {(int32_t)sum[i] >> QMCU_FIELD_BITS, (int32_t)sum[i + 1] >> QMCU_FIELD_BITS,
                                     (int32_t)even[i], (int32_t)even[i + 1]};
            for (int32_t c = 0; c < 4; ++c) { /* in the order of the lanes */
                const qmcu_lane_t lane = qmcu_lane_at(lanes, c);
                out[c < 2 ? 2 * c + 1 : 2 * c - 4] = qmcu_saturated(qmcu_lane_once(&lane, sums[c]));
            }
        }
    }
}
