/* matvec_packed_ref.c: portable dot products of one vector with rows of packed weights.
 *
 * Two rows at a time, and both by one multiplication: a weight of each, made unsigned by an offset, lies in one half of
 * a word. The halves of a sum of such products are the sums of both rows; the offset is taken off in the end. */
#include "primitives.h"
#include "words.h"

/* Two values of x times the lowest weights of 4 bits of each half. |each half| <= 2 * 128 * 15. */
static inline uint32_t products_4(const int8_t *x, uint32_t halves)
{
    return (uint32_t)x[0] * (halves & 0x000f000fu) + (uint32_t)x[1] * (halves >> 4 & 0x000f000fu);
}

/* Four values of x times the lowest weights of 2 bits of each half. |each half| <= 4 * 128 * 3. */
static inline uint32_t products_2(const int8_t *x, uint32_t halves)
{
    return (uint32_t)x[0] * (halves & 0x00030003u) + (uint32_t)x[1] * (halves >> 2 & 0x00030003u) +
           (uint32_t)x[2] * (halves >> 4 & 0x00030003u) + (uint32_t)x[3] * (halves >> 6 & 0x00030003u);
}

/* Adds the halves, each of which is less than 2^15 in magnitude. */
static inline void add_halves(uint32_t both, int32_t *s0, int32_t *s1)
{
    const int32_t low = (int32_t)(both << 16) >> 16;
    *s0 += low;
    *s1 += (int32_t)(both - (uint32_t)low) >> 16;
}

/* A byte of each of two rows. */
static inline uint32_t bytes_at(const int8_t *row, int32_t step)
{
    return (uint32_t)(uint8_t)row[0] | (uint32_t)(uint8_t)row[step] << 16;
}

/* sum[0..2) = x times the weights in whole bytes of two rows, each weight + 8, and minus `excess`. */
static void dot2_s4(const int8_t *x, const int8_t *row, int32_t step, int32_t bytes, int32_t excess, int32_t *sum)
{
    int32_t s0 = -excess, s1 = -excess;
    for (const int8_t *end = row + (bytes & ~3); row != end; row += 4, x += 8) {
        const uint32_t a = qmcu_word_at(row) ^ 0x88888888u, b = qmcu_word_at(row + step) ^ 0x88888888u;
        const uint32_t first = (a & 0xffffu) | b << 16, last = a >> 16 | (b & 0xffff0000u);
        uint32_t both = products_4(x, first) + products_4(x + 2, first >> 8);
        both += products_4(x + 4, last) + products_4(x + 6, last >> 8);
        add_halves(both, &s0, &s1);
    }
    for (bytes &= 3; bytes > 0; --bytes, ++row, x += 2) {
        add_halves(products_4(x, bytes_at(row, step) ^ 0x00880088u), &s0, &s1);
    }
    sum[0] = s0;
    sum[1] = s1;
}

/* The same for weights of 2 bits, each weight + 2. */
static void dot2_s2(const int8_t *x, const int8_t *row, int32_t step, int32_t bytes, int32_t excess, int32_t *sum)
{
    int32_t s0 = -excess, s1 = -excess;
    for (const int8_t *end = row + (bytes & ~3); row != end; row += 4, x += 16) {
        const uint32_t a = qmcu_word_at(row) ^ 0xaaaaaaaau, b = qmcu_word_at(row + step) ^ 0xaaaaaaaau;
        const uint32_t first = (a & 0xffffu) | b << 16, last = a >> 16 | (b & 0xffff0000u);
        uint32_t both = products_2(x, first) + products_2(x + 4, first >> 8);
        both += products_2(x + 8, last) + products_2(x + 12, last >> 8);
        add_halves(both, &s0, &s1);
    }
    for (bytes &= 3; bytes > 0; --bytes, ++row, x += 4) {
        add_halves(products_2(x, bytes_at(row, step) ^ 0x00aa00aau), &s0, &s1);
    }
    sum[0] = s0;
    sum[1] = s1;
}

/* sum[r] = x . whole bytes of row r, for `count` rows. |excess| <= k * 2^10 and sums of raised weights are within
 * k * 128 * 15 < 2^28, as k < 2^17. */
static void dots(const int8_t *x, const int8_t *rows, int32_t step, int32_t bits, int32_t bytes, int32_t count,
                 int32_t *sum)
{
    const int32_t excess = qmcu_sum_s8(x, bytes * 8 / bits) * (1 << (bits - 1));
    int32_t two[2];
    for (int32_t r = 0; r < count; r += 2) {
        const int is_alone = r + 1 == count;
        const int32_t to_next = is_alone ? 0 : step; /* a row that is left alone is its own partner */
        const int8_t *row = rows + (ptrdiff_t)r * step;
        if (bits == 4) {
            dot2_s4(x, row, to_next, bytes, excess, is_alone ? two : sum + r);
        } else {
            dot2_s2(x, row, to_next, bytes, excess, is_alone ? two : sum + r);
        }
        if (is_alone) {
            sum[r] = two[0];
        }
    }
}

/* x[0..k) . values [first, first + k) of a row, one by one. */
static int32_t dot(const int8_t *x, const int8_t *row, int32_t bits, int32_t first, int32_t k)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < k; ++i) {
        const int32_t place = (first + i) * bits; /* in bits, < 2^31 */
        const uint32_t raised = (uint32_t)(uint8_t)row[place >> 3] << (32 - bits - (place & 7));
        sum += x[i] * ((int32_t)raised >> (32 - bits));
    }
    return sum;
}

void qmcu_matvec_packed__ref(const int8_t *x, const int8_t *rows, int32_t step, int32_t bits, int32_t first, int32_t k,
                             int32_t count, int32_t *sum)
{
    const int32_t per_byte = bits == 4 ? 2 : 4;
    const int32_t before = -first & (per_byte - 1); /* up to a whole byte */
    const int32_t head = before < k ? before : k;
    const int32_t bytes = (k - head) / per_byte, end = head + bytes * per_byte;
    const int8_t *whole = rows + (first + head) / per_byte;
    dots(x + head, whole, step, bits, bytes, count, sum);
    for (int32_t r = 0; r < count && (head > 0 || end < k); ++r) {
        const int8_t *row = rows + (ptrdiff_t)r * step;
        sum[r] += dot(x, row, bits, first, head) + dot(x + end, row, bits, first + end, k - end);
    }
}
