/* matvec_packed_ref.c: portable dot products of one vector with rows of packed weights. */
#include "primitives.h"

/* The signed value at a place, in bits, of a row. */
static int32_t value_at(const int8_t *row, int32_t bits, int32_t place)
{
    const uint32_t raised = (uint32_t)(uint8_t)row[place >> 3] << (32 - bits - (place & 7)); /* its sign on top */
    return (int32_t)raised >> (32 - bits);
}

/* Two values in each byte. */
static int32_t dot_s4(const int8_t *x, const int8_t *row, int32_t k)
{
    int32_t sum = 0; /* |sum| <= k * 128 * 8 < 2^31 */
    for (int32_t i = 0; i + 2 <= k; i += 2) {
        const int32_t both = *row++;
        sum += x[i] * ((int32_t)((uint32_t)both << 28) >> 28) + x[i + 1] * (both >> 4);
    }
    return sum;
}

/* Four values in each byte. */
static int32_t dot_s2(const int8_t *x, const int8_t *row, int32_t k)
{
    int32_t sum = 0; /* |sum| <= k * 128 * 2 < 2^31 */
    for (int32_t i = 0; i + 4 <= k; i += 4) {
        const uint32_t four = (uint32_t)(int32_t)*row++;
        sum += x[i] * ((int32_t)(four << 30) >> 30) + x[i + 1] * ((int32_t)(four << 28) >> 30);
        sum += x[i + 2] * ((int32_t)(four << 26) >> 30) + x[i + 3] * ((int32_t)(four << 24) >> 30);
    }
    return sum;
}

void qmcu_matvec_packed__ref(const int8_t *x, const int8_t *rows, int32_t step, int32_t bits, int32_t first, int32_t k,
                             int32_t count, int32_t *sum)
{
    const int32_t per_byte = 8 / bits;
    const int32_t before = first % per_byte == 0 ? 0 : per_byte - first % per_byte; /* up to a whole byte */
    const int32_t head = before < k ? before : k;
    const int32_t body = (k - head) / per_byte * per_byte;
    for (int32_t r = 0; r < count; ++r) {
        const int8_t *row = rows + (ptrdiff_t)r * step;
        const int8_t *bytes = row + (first + head) / per_byte;
        int32_t acc = bits == 4 ? dot_s4(x + head, bytes, body) : dot_s2(x + head, bytes, body);
        for (int32_t i = 0; i < head; ++i) {
            acc += x[i] * value_at(row, bits, (first + i) * bits);
        }
        for (int32_t i = head + body; i < k; ++i) {
            acc += x[i] * value_at(row, bits, (first + i) * bits);
        }
        sum[r] = acc;
    }
}
