/* bytes.h: copies of few bytes, for which a call of memcpy takes longer than the copy. */
#ifndef QMCU_PRIMITIVES_BYTES_H
#define QMCU_PRIMITIVES_BYTES_H

#include <string.h>

#include "primitives.h"
#include "words.h"

/* Few bytes: a word at a time where the core has words anywhere. */
static inline int8_t *qmcu_copy_bytes(const int8_t *from, int32_t bytes, int8_t *to)
{
    for (; bytes >= 16; bytes -= 16, from += 16, to += 16) {
        const uint32_t a = qmcu_word_at(from), b = qmcu_word_at(from + 4);
        const uint32_t c = qmcu_word_at(from + 8), d = qmcu_word_at(from + 12);
        qmcu_put_word(a, to);
        qmcu_put_word(b, to + 4);
        qmcu_put_word(c, to + 8);
        qmcu_put_word(d, to + 12);
    }
    for (; bytes >= 4; bytes -= 4, from += 4, to += 4) {
        qmcu_put_word(qmcu_word_at(from), to);
    }
    for (; bytes > 0; --bytes) {
        *to++ = *from++;
    }
    return to;
}

static inline void qmcu_put_three(uint32_t bytes, int8_t *to)
{
    const uint16_t two = (uint16_t)bytes;
    to[2] = (int8_t)(bytes >> 16);
#if QMCU_UNALIGNED_WORDS
    memcpy(to, &two, sizeof two);
#else
    to[0] = (int8_t)two;
    to[1] = (int8_t)(two >> 8);
#endif
}

/* Copies pixels that adjoin to places that are `step` bytes apart. First layers have one or three channels. */
static inline void qmcu_scatter_pixels(const int8_t *from, int32_t channels, int32_t pixels, int8_t *to,
                                       int32_t step)
{
    for (; channels == 1 && pixels > 0; --pixels, ++from, to += step) {
        to[0] = from[0];
    }
    for (; channels == 3 && pixels >= 4; pixels -= 4, from += 12, to += step) {
        const uint32_t a = qmcu_word_at(from), b = qmcu_word_at(from + 4), c = qmcu_word_at(from + 8);
        qmcu_put_three(a, to);
        qmcu_put_three(a >> 24 | b << 8, to += step);
        qmcu_put_three(b >> 16 | c << 16, to += step);
        qmcu_put_three(c >> 8, to += step);
    }
    for (; channels == 3 && pixels > 0; --pixels, from += 3, to += step) {
        const int8_t a = from[0], b = from[1], c = from[2];
        to[0] = a;
        to[1] = b;
        to[2] = c;
    }
    for (; pixels > 0; --pixels, from += channels, to += step) {
        qmcu_copy_bytes(from, channels, to);
    }
}

/* Brings saturated values of a pixel into the output; they may be spoilt. */
static inline void qmcu_store_pixel(int8_t *values, const qmcu_limits_t *limits, int8_t *out)
{
    if (limits->bits == 8 && limits->low == -128 && limits->high == 127) {
        qmcu_copy_bytes(values, limits->count, out);
    } else {
        qmcu_store_limited(values, limits, out);
    }
}

#endif
