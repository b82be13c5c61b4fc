/* planes.h: rows of a map as pairs of 16-bit lanes, a plane for each of four channels: what depthwise kernels multiply.
 *
 * Word w of a plane holds one column of two rows: the upper one in its lower half. A block of four channels lies word
 * beside word, so that a plane goes on every QMCU_BLOCK words. */
#ifndef QMCU_CORE_PLANES_H
#define QMCU_CORE_PLANES_H

#include <stdint.h>

#define QMCU_BLOCK 4

/* Two rows of a map: four channels of each pixel from where `row` points on. Padding lies before and behind them. */
typedef struct {
    const int8_t *row[2];
    int32_t pixel_bytes[2]; /* 0: one pixel for all of a row of padding */
    int32_t before, inner, after; /* columns */
    uint32_t padding;             /* its words */
    int32_t bits;                 /* of a value: 8 (int8), 4 or 2 (unsigned) */
} qmcu_row_pair_t;

/* How the sum of a window becomes a value; both forms saturate to int8.
 * QMCU_LINE:  y = (sum * multiplier >> 32) >> QMCU_LINE_SHIFT; bias and weights are scaled so that this is exact.
 * QMCU_TWICE: y = ((sum * multiplier + 2^31 >> 32) + round + (sum >> 31)) >> shift, as in requant_lane.h.
 * A lane holds four words: bias, multiplier, round, shift + 256 * factor, which the weights are multiplied by. */
#define QMCU_LINE 0
#define QMCU_TWICE 1
#define QMCU_LINE_SHIFT 10

/* A row of outputs of some channels, whose planes and outputs lie side by side. Windows have `columns` columns of
 * `pairs` words each. A channel is described by QMCU_LANE_HEAD words of its lane, then its weights. */
typedef struct {
    const uint32_t *channel; /* [channels][channel_words] */
    int32_t channels;
    int32_t channel_words; /* from channel to channel */
    int32_t count;         /* outputs of a channel */
    int32_t pitch;         /* bytes from output to output */
    int32_t columns, pairs;
    int32_t stride; /* columns from window to window */
    int32_t form;   /* QMCU_LINE or QMCU_TWICE */
    int32_t is_odd; /* whether windows begin with the lower row of their first pair */
} qmcu_planes_row_t;

#define QMCU_LANE_HEAD 4

/* Rows of outputs whose windows have three columns of two pairs, in planes with QMCU_COLUMN_PAIRS of them in a column.
 * Rows of part 0 have windows that begin with the upper row of a pair, those of part 1 with the lower one, and the next
 * row's begin one pair further. A channel is described by its lane and weights for part 0, then by those for part 1. */
typedef struct {
    struct {
        const uint32_t *plane; /* the pair with which the first row's windows begin, of the first channel */
        int8_t *out;
        int32_t rows;
    } part[2];
    const uint32_t *channel; /* [channels][2][QMCU_LANE_HEAD + QMCU_WINDOW_3_WORDS] */
    int32_t channels;
    int32_t count;    /* outputs of a row of a channel, > 0 */
    int32_t pitch;    /* bytes from output to output */
    int32_t row_step; /* bytes from row to row of a part */
    int32_t stride;   /* columns from window to window: 1 or 2 */
    int32_t form;     /* QMCU_LINE or QMCU_TWICE */
} qmcu_planes_rows_t;

#define QMCU_COLUMN_PAIRS 4

/* Windows of three columns and at most three rows have five words of weights: of two rows for each column, which meet
 * the words of the pair that lies in a window as a whole; then of the third row for columns 0 and 1, for column 2. */
#define QMCU_WINDOW_3_WORDS 5

/* Staged values [pixel][QMCU_BLOCK] on their way into a map. */
typedef struct {
    const int8_t *staged;
    int32_t count;     /* pixels */
    int32_t values;    /* of a pixel that go into the map: 1..4 */
    int32_t bits;      /* of a value in the map */
    int32_t low, high; /* clamp */
} qmcu_quads_t;

#endif
