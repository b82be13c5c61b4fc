/* depthwise_poly_ref.c: portable convolution of rows by products of words of several values. */
#include "../core/poly.h"
#include "primitives.h"

void qmcu_poly_words__ref(const qmcu_poly_pixels_t *pixels, int32_t count, uint32_t *out)
{
    const int32_t bits = pixels->bits, in_word = qmcu_poly_pixels(bits), width = qmcu_poly_width(bits);
    for (int32_t i = 0; i < count; ++i, out += QMCU_POLY_STEP) {
        for (int32_t c = 0; c < QMCU_POLY_BLOCK; ++c) {
            const int32_t place = c * bits;
            out[c] = 0;
            for (int32_t p = 0; p < in_word; ++p) {
                const uint8_t byte = (uint8_t)pixels->pixel[p][i * pixels->step + (place >> 3)];
                out[c] |= (((uint32_t)byte >> (place & 7)) & ((1u << bits) - 1u)) << (p * width);
            }
        }
    }
}

/* Requantizes a coefficient. */
static inline int8_t value_of(const int32_t *channel, int32_t field)
{
    const int32_t y = ((int32_t)((int64_t)channel[3] * field >> 16) + channel[4]) >> QMCU_POLY_SHIFT;
    return (int8_t)(uint8_t)(y < 0 ? 0 : y > 255 ? 255 : y);
}

/* A row of outputs of a channel. */
static void convolve(const uint32_t *x, const qmcu_poly_row_t *row, const int32_t *channel, int8_t *out)
{
    const int32_t in_word = qmcu_poly_pixels(row->bits), width = qmcu_poly_width(row->bits);
    const uint32_t mask = (1u << width) - 1u;
    int64_t sum = (int64_t)channel[7] * ((int64_t)1 << 32);
    for (int32_t i = 0; i < row->words; ++i, x += QMCU_POLY_STEP) {
        sum = (sum >> (in_word * width)) + (uint32_t)channel[5];
        for (int32_t r = 0; r < QMCU_POLY_ROWS; ++r) {
            sum += (int64_t)x[r * QMCU_POLY_BLOCK] * channel[r];
        }
        for (int32_t p = 0; p < in_word; ++p, out += QMCU_POLY_STAGED) {
            *out = value_of(channel, (int32_t)(((uint32_t)sum >> (p * width)) & mask));
        }
    }
    if (row->has_tail) {
        *out = value_of(channel, (int32_t)((uint32_t)((sum >> (in_word * width)) + channel[8]) & mask));
    }
}

void qmcu_poly_row__ref(const uint32_t *plane, const qmcu_poly_row_t *row, int8_t *staged)
{
    const int32_t *channel = row->channel;
    for (int32_t c = 0; c < row->channels; ++c, channel += QMCU_POLY_WORDS) {
        for (int32_t below = 0; below < row->rows; ++below) {
            convolve(plane + c + below * QMCU_POLY_BLOCK, row, channel, staged + channel[6] + below * QMCU_POLY_BLOCK);
        }
    }
}
