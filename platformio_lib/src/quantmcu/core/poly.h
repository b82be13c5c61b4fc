/* poly.h: neighbours of a row as coefficients of one word: a product of two such words is a convolution.
 *
 * With X = 2^width, a word of `pixels` values is a0 + a1 X + a2 X^2 ..., a row of three weights w2 + w1 X + w0 X^2. Of
 * their product, coefficient i is the sum of the window that ends at value i, less what earlier values add to the first
 * two: those are the last two coefficients of the product before. A word has values of one row and channel. Words of
 * eight channels lie side by side, then those of the next rows: of two windows one below the other. */
#ifndef QMCU_CORE_POLY_H
#define QMCU_CORE_POLY_H

#include <stdint.h>

#define QMCU_POLY_BLOCK 8 /* channels */
#define QMCU_POLY_ROWS 3  /* of a window */
#define QMCU_POLY_SLOTS 4 /* rows of two windows */
#define QMCU_POLY_STEP (QMCU_POLY_SLOTS * QMCU_POLY_BLOCK) /* from word to word of a row */
#define QMCU_POLY_WORDS 9  /* of a channel */
#define QMCU_POLY_STAGED (2 * QMCU_POLY_BLOCK) /* values of a pixel and of the one below it */
#define QMCU_POLY_SHIFT 7

/* Values in a word, and the width of a coefficient: sums of a window and their offset are below 2^width. */
static inline int32_t qmcu_poly_pixels(int32_t bits)
{
    return bits == 4 ? 3 : 4;
}

static inline int32_t qmcu_poly_width(int32_t bits)
{
    return bits == 4 ? 10 : 8;
}

/* Pixels of a row of the input: pixel[i] is value i of the first word, those of the next lie `step` bytes further. */
typedef struct {
    const int8_t *pixel[4];
    int32_t step;
    int32_t bits; /* of a value: 4 or 2; eight channels of a pixel are read */
} qmcu_poly_pixels_t;

/* One or two rows of outputs. Of a channel:
 *   0..2  weights of the three rows
 *   3, 4  multiplier, addend: y = ((coefficient * multiplier >> 16) + addend) >> QMCU_POLY_SHIFT, saturated to uint8
 *   5     the offset in every coefficient of a word
 *   6     where its values go within eight
 *   7     2^8 times what the column before the first value adds to the second coefficient
 *   8     the offset and what a column of padding adds to the output after those of the last word */
typedef struct {
    const int32_t *channel; /* [channels][QMCU_POLY_WORDS] */
    int32_t channels;
    int32_t words;    /* of a row */
    int32_t rows;     /* 1 or 2 */
    int32_t has_tail; /* whether an output follows those of the words, its last column being padding */
    int32_t bits;     /* of the input: 4 or 2 */
} qmcu_poly_row_t;

/* Values [pixel][QMCU_POLY_STAGED] on their way into a map, every channel at its place among eight: their highest bits,
 * for a map of 8 bits less 128. */
typedef struct {
    const int8_t *values;
    int32_t count;    /* pixels */
    int32_t channels; /* that go into the map: 1..8 */
    int32_t bits;     /* of a value in the map */
} qmcu_staged_t;

#endif
