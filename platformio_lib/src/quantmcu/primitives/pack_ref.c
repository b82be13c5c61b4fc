/* pack_ref.c: portable packing of values of 4 and 2 bits, low bits first. */
#include "primitives.h"

/* The value at a place, in bits, of a byte; in two's complement its sign is brought to the top. */
static inline int8_t field(int8_t byte, int32_t bits, int32_t place, int is_signed)
{
    const uint32_t raised = (uint32_t)(uint8_t)byte << (32 - bits - place);
    return (int8_t)(is_signed ? (int32_t)raised >> (32 - bits) : (int32_t)(raised >> (32 - bits)));
}

/* Both values of each byte; returns where they end. */
static inline int8_t *unpack_4(const int8_t *run, int32_t bytes, int is_signed, int8_t *out)
{
    for (int32_t i = 0; i < bytes; ++i, out += 2) {
        const int8_t byte = run[i];
        out[0] = field(byte, 4, 0, is_signed);
        out[1] = field(byte, 4, 4, is_signed);
    }
    return out;
}

/* All four values of each byte. */
static inline int8_t *unpack_2(const int8_t *run, int32_t bytes, int is_signed, int8_t *out)
{
    for (int32_t i = 0; i < bytes; ++i, out += 4) {
        const int8_t byte = run[i];
        out[0] = field(byte, 2, 0, is_signed);
        out[1] = field(byte, 2, 2, is_signed);
        out[2] = field(byte, 2, 4, is_signed);
        out[3] = field(byte, 2, 6, is_signed);
    }
    return out;
}

static inline void unpack(const int8_t *run, int32_t bits, int32_t first, int32_t count, int is_signed, int8_t *out)
{
    const int8_t *end = out + count;
    int32_t place = first * bits; /* in bits, < 2^31 */
    for (; out < end && (place & 7) != 0; place += bits) {
        *out++ = field(run[place >> 3], bits, place & 7, is_signed);
    }
    const int32_t bytes = (int32_t)(end - out) * bits >> 3;
    const int8_t *whole = run + (place >> 3);
    out = bits == 4 ? unpack_4(whole, bytes, is_signed, out) : unpack_2(whole, bytes, is_signed, out);
    for (place += bytes * 8; out < end; place += bits) {
        *out++ = field(run[place >> 3], bits, place & 7, is_signed);
    }
}

void qmcu_unpack_unsigned__ref(const int8_t *run, int32_t bits, int32_t first, int32_t count, int8_t *out)
{
    unpack(run, bits, first, count, 0, out);
}

void qmcu_unpack_signed__ref(const int8_t *run, int32_t bits, int32_t first, int32_t count, int8_t *out)
{
    unpack(run, bits, first, count, 1, out);
}

void qmcu_pack__ref(const int8_t *values, int32_t count, int8_t *run, int32_t bits, int32_t first)
{
    int32_t place = first * bits;
    uint32_t byte = 0;
    if ((place & 7) != 0) { /* values before the first share its byte */
        byte = (uint32_t)(uint8_t)run[place >> 3] & ((1u << (place & 7)) - 1u);
    }
    for (int32_t i = 0; i < count; ++i) {
        byte |= (uint32_t)values[i] << (place & 7); /* 0 <= value < 2^bits */
        place += bits;
        if ((place & 7) == 0) {
            run[(place >> 3) - 1] = (int8_t)(uint8_t)byte;
            byte = 0;
        }
    }
    if ((place & 7) != 0) {
        run[place >> 3] = (int8_t)(uint8_t)byte;
    }
}
