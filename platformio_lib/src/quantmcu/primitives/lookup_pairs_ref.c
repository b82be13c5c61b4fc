/* lookup_pairs_ref.c: a table of pairs, eight entries at a time. Loads of all cores serve it, so no backend replaces it. */
#include <string.h>

#include "primitives.h"
#include "words.h"

#define LOW 0x0f0f0f0fu
#define TOGETHER 8

/* Eight operands of 4 bits, or of 2 bits brought to 4. */
static inline uint32_t nibbles(const int8_t *x, int32_t bits)
{
    uint32_t word;
    if (bits == 4) {
        return qmcu_word_at(x);
    }
    word = (uint32_t)(uint8_t)x[0] | (uint32_t)(uint8_t)x[1] << 16;
    word = (word | word << 4) & LOW;
    return (word | word << 2) & 0x33333333u;
}

/* The entries that the bytes of a word tell, in its bytes. */
static inline uint32_t entries(const uint8_t *table, uint32_t places)
{
    const uint32_t a = table[places & 0xff], b = table[places >> 8 & 0xff];
    const uint32_t c = table[places >> 16 & 0xff], d = table[places >> 24];
    return a | b << 8 | c << 16 | d << 24;
}

/* Of the lower and of the upper operands in each byte. */
static inline uint32_t even_entries(const uint8_t *table, uint32_t x, uint32_t y)
{
    return entries(table, (x & LOW) | (y & LOW) << 4);
}

static inline uint32_t odd_entries(const uint8_t *table, uint32_t x, uint32_t y)
{
    return entries(table, (x >> 4 & LOW) | (y & ~LOW));
}

static inline void look_up_eight(const int8_t *a, const int8_t *b, const qmcu_pair_table_t *rule, int8_t *out)
{
    const uint8_t *table = (const uint8_t *)rule->table;
    const uint32_t x = nibbles(a, rule->a_bits), y = nibbles(b, rule->b_bits);
    const uint32_t even = even_entries(table, x, y), odd = odd_entries(table, x, y);
    if (rule->entry_bits == 4) {
        qmcu_put_word(even | odd << 4, out);
    } else if (rule->entry_bits == 2) {
        const uint32_t fours = even | odd << 2, bytes = fours | fours >> 4;
        out[0] = (int8_t)(uint8_t)bytes;
        out[1] = (int8_t)(uint8_t)(bytes >> 16);
    } else {
        qmcu_put_word((even & 0xff) | (odd & 0xff) << 8 | (even & 0xff00) << 8 | (odd & 0xff00) << 16, out);
        qmcu_put_word((even >> 16 & 0xff) | (odd >> 16 & 0xff) << 8 | (even >> 24) << 16 | (odd >> 24) << 24, out + 4);
    }
}

void qmcu_lookup_pairs__ref(const int8_t *a, const int8_t *b, const qmcu_pair_table_t *rule, int32_t count, int8_t *out)
{
    const uint8_t *table = (const uint8_t *)rule->table;
    const int32_t a_bits = rule->a_bits, b_bits = rule->b_bits, out_bits = rule->entry_bits;
    const int is_usual = a_bits == 4 && b_bits == 4 && out_bits == 4;
    for (; is_usual && count >= TOGETHER; count -= TOGETHER, a += 4, b += 4, out += 4) {
        const uint32_t x = qmcu_word_at(a), y = qmcu_word_at(b);
        qmcu_put_word(even_entries(table, x, y) | odd_entries(table, x, y) << 4, out);
    }
    for (; count >= TOGETHER; count -= TOGETHER) {
        look_up_eight(a, b, rule, out);
        a += a_bits;
        b += b_bits;
        out += out_bits;
    }
    if (count > 0) {
        int8_t x[4] = {0}, y[4] = {0}, z[TOGETHER];
        memcpy(x, a, (size_t)qmcu_run_bytes(count, a_bits));
        memcpy(y, b, (size_t)qmcu_run_bytes(count, b_bits));
        look_up_eight(x, y, rule, z);
        memcpy(out, z, (size_t)qmcu_run_bytes(count, out_bits));
    }
}
