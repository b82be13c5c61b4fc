/* matvec_packed_ref.c: portable dot products of one vector with rows of packed weights.
 *
 * Two rows at a time, so that each value of x is loaded once for both; more do not fit the registers of a Cortex-M. */
#include "primitives.h"

/* The signed value of so many bits at a place of a byte. */
static inline int32_t field(int32_t byte, int32_t bits, int32_t place)
{
    return (int32_t)((uint32_t)byte << (32 - bits - place)) >> (32 - bits);
}

/* Two rows of whole bytes, two values in each. |sum| <= 2 * bytes * 128 * 8 < 2^31. */
static void dot2_s4(const int8_t *x, const int8_t *rows, int32_t step, int32_t bytes, int32_t *sum)
{
    const int8_t *r0 = rows, *r1 = r0 + step;
    int32_t s0 = 0, s1 = 0;
    for (const int8_t *end = x + 2 * bytes; x < end; x += 2) {
        const int32_t b0 = *r0++, b1 = *r1++;
        s0 += x[0] * field(b0, 4, 0);
        s1 += x[0] * field(b1, 4, 0);
        s0 += x[1] * field(b0, 4, 4);
        s1 += x[1] * field(b1, 4, 4);
    }
    sum[0] = s0;
    sum[1] = s1;
}

/* The same with four values in each byte. |sum| <= 4 * bytes * 128 * 2 < 2^31. */
static void dot2_s2(const int8_t *x, const int8_t *rows, int32_t step, int32_t bytes, int32_t *sum)
{
    const int8_t *r0 = rows, *r1 = r0 + step;
    int32_t s0 = 0, s1 = 0;
    for (const int8_t *end = x + 4 * bytes; x < end; x += 4) {
        const int32_t b0 = *r0++, b1 = *r1++;
        s0 += x[0] * field(b0, 2, 0);
        s1 += x[0] * field(b1, 2, 0);
        s0 += x[1] * field(b0, 2, 2);
        s1 += x[1] * field(b1, 2, 2);
        s0 += x[2] * field(b0, 2, 4);
        s1 += x[2] * field(b1, 2, 4);
        s0 += x[3] * field(b0, 2, 6);
        s1 += x[3] * field(b1, 2, 6);
    }
    sum[0] = s0;
    sum[1] = s1;
}

/* x[0..k) . values [first, first + k) of a row, one by one. */
static int32_t dot(const int8_t *x, const int8_t *row, int32_t bits, int32_t first, int32_t k)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < k; ++i) {
        const int32_t place = (first + i) * bits; /* in bits, < 2^31 */
        sum += x[i] * field(row[place >> 3], bits, place & 7);
    }
    return sum;
}

void qmcu_matvec_packed__ref(const int8_t *x, const int8_t *rows, int32_t step, int32_t bits, int32_t first, int32_t k,
                             int32_t count, int32_t *sum)
{
    const int32_t per_byte = 8 / bits;
    const int32_t before = (per_byte - first % per_byte) % per_byte; /* up to a whole byte */
    const int32_t head = before < k ? before : k;
    const int32_t bytes = (k - head) / per_byte, body = bytes * per_byte, tail = k - head - body;
    int32_t r = 0;
    for (; r + 2 <= count; r += 2) {
        const int8_t *row = rows + (ptrdiff_t)r * step, *whole = row + (first + head) / per_byte;
        if (bits == 4) {
            dot2_s4(x + head, whole, step, bytes, sum + r);
        } else {
            dot2_s2(x + head, whole, step, bytes, sum + r);
        }
        for (int32_t i = 0; head + tail > 0 && i < 2; ++i, row += step) {
            sum[r + i] += dot(x, row, bits, first, head);
            sum[r + i] += dot(x + head + body, row, bits, first + head + body, tail);
        }
    }
    if (r < count) {
        sum[r] = dot(x, rows + (ptrdiff_t)r * step, bits, first, k);
    }
}
