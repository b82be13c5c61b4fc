/* pack_ref.c: portable packing of values of 4 and 2 bits, low bits first.
 *
 * Four values at a time, each in a byte of a word while they are packed or unpacked. */
#include "primitives.h"
#include "words.h"

/* The 16 or 8 lowest bits of `packed`, four values, spread into the bytes of a word. */
static inline uint32_t spread(uint32_t packed, int32_t bits, int is_signed)
{
    uint32_t word, sign;
    if (bits == 4) {
        word = (packed | packed << 8) & 0x00ff00ffu;
        word = (word | word << 4) & 0x0f0f0f0fu;
        sign = 0x08080808u;
    } else {
        word = (packed | packed << 12) & 0x000f000fu;
        word = (word | word << 6) & 0x03030303u;
        sign = 0x02020202u;
    }
    /* (value ^ sign) - sign extends the sign; bit 7 is set meanwhile, so that no byte borrows from the next. */
    return is_signed ? ((word ^ (sign | 0x80808080u)) - sign) ^ 0x80808080u : word;
}

/* The reverse, for unsigned values: what lies above the 16 or 8 lowest bits of the result is rubbish. */
static inline uint32_t gather(uint32_t word, int32_t bits)
{
    if (bits == 4) {
        word = (word | word >> 4) & 0x00ff00ffu;
        return word | word >> 8;
    }
    word = (word | word >> 6) & 0x000f000fu;
    return word | word >> 12;
}

/* The value at a place, in bits, of a byte; in two's complement its sign is brought to the top. */
static inline int8_t field(int8_t byte, int32_t bits, int32_t place, int is_signed)
{
    const uint32_t raised = (uint32_t)(uint8_t)byte << (32 - bits - place);
    return (int8_t)(is_signed ? (int32_t)raised >> (32 - bits) : (int32_t)(raised >> (32 - bits)));
}

static inline void unpack_4(const int8_t *run, int32_t first, int32_t count, int is_signed, int8_t *out)
{
    run += first >> 1;
    if ((first & 1) != 0 && count > 0) {
        *out++ = field(*run++, 4, 4, is_signed);
        --count;
    }
    for (; count >= 8; count -= 8, run += 4, out += 8) {
        const uint32_t packed = qmcu_word_at(run);
        qmcu_put_word(spread(packed & 0xffffu, 4, is_signed), out);
        qmcu_put_word(spread(packed >> 16, 4, is_signed), out + 4);
    }
    for (; count >= 2; count -= 2, ++run) {
        *out++ = field(*run, 4, 0, is_signed);
        *out++ = field(*run, 4, 4, is_signed);
    }
    if (count > 0) {
        *out = field(*run, 4, 0, is_signed);
    }
}

static inline void unpack_2(const int8_t *run, int32_t first, int32_t count, int is_signed, int8_t *out)
{
    int32_t place = (first & 3) * 2; /* in bits, within a byte */
    run += first >> 2;
    for (; place != 0 && count > 0; --count, place = (place + 2) & 7) {
        *out++ = field(*run, 2, place, is_signed);
        run += place == 6;
    }
    for (; count >= 4; count -= 4, ++run, out += 4) {
        qmcu_put_word(spread((uint8_t)*run, 2, is_signed), out);
    }
    for (; count > 0; --count, place += 2) {
        *out++ = field(*run, 2, place, is_signed);
    }
}

void qmcu_unpack_unsigned__ref(const int8_t *run, int32_t bits, int32_t first, int32_t count, int8_t *out)
{
    if (bits == 4) {
        unpack_4(run, first, count, 0, out);
    } else {
        unpack_2(run, first, count, 0, out);
    }
}

void qmcu_unpack_signed__ref(const int8_t *run, int32_t bits, int32_t first, int32_t count, int8_t *out)
{
    if (bits == 4) {
        unpack_4(run, first, count, 1, out);
    } else {
        unpack_2(run, first, count, 1, out);
    }
}

/* A value into its place, in bits, of a byte: what lies below stays, what lies above becomes zero. */
static inline void put_field(int8_t value, int32_t place, int8_t *byte)
{
    const uint32_t below = (uint8_t)*byte & ((1u << place) - 1u);
    *byte = (int8_t)(uint8_t)(below | (uint32_t)value << place); /* 0 <= value < 2^bits */
}

static inline void pack_4(const int8_t *values, int32_t count, int8_t *run, int32_t first)
{
    run += first >> 1;
    if ((first & 1) != 0 && count > 0) {
        put_field(*values++, 4, run++);
        --count;
    }
    for (; count >= 8; count -= 8, values += 8, run += 4) {
        qmcu_put_word((gather(qmcu_word_at(values), 4) & 0xffffu) | gather(qmcu_word_at(values + 4), 4) << 16, run);
    }
    for (; count >= 2; count -= 2, values += 2) {
        *run++ = (int8_t)(values[0] | values[1] * 16);
    }
    if (count > 0) {
        *run = *values;
    }
}

static inline void pack_2(const int8_t *values, int32_t count, int8_t *run, int32_t first)
{
    int32_t place = (first & 3) * 2; /* in bits, within a byte */
    run += first >> 2;
    for (; place != 0 && count > 0; --count, place = (place + 2) & 7) {
        put_field(*values++, place, run);
        run += place == 6;
    }
    for (; count >= 4; count -= 4, values += 4) {
        *run++ = (int8_t)(uint8_t)gather(qmcu_word_at(values), 2);
    }
    for (; count > 0; --count, place += 2) {
        put_field(*values++, place, run);
    }
}

void qmcu_pack__ref(const int8_t *values, int32_t count, int8_t *run, int32_t bits, int32_t first)
{
    if (bits == 4) {
        pack_4(values, count, run, first);
    } else {
        pack_2(values, count, run, first);
    }
}
