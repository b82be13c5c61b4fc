/* pack_ref.c: portable packing of values of 4 and 2 bits, low bits first. */
#include "primitives.h"

void qmcu_unpack_unsigned__ref(const int8_t *run, int32_t bits, int32_t first, int32_t count, int8_t *out)
{
    const uint32_t mask = (1u << bits) - 1u;
    int32_t place = first * bits; /* in bits, < 2^31 */
    for (int32_t i = 0; i < count; ++i) {
        out[i] = (int8_t)(((uint32_t)(uint8_t)run[place >> 3] >> (place & 7)) & mask);
        place += bits;
    }
}

void qmcu_unpack_signed__ref(const int8_t *run, int32_t bits, int32_t first, int32_t count, int8_t *out)
{
    const int32_t sign = 1 << (bits - 1);
    qmcu_unpack_unsigned__ref(run, bits, first, count, out);
    for (int32_t i = 0; i < count; ++i) {
        out[i] = (int8_t)((out[i] ^ sign) - sign);
    }
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
