/* pairs.h: what the kernels that multiply pairs of values share: pairs of 16-bit lanes, weights nested in them.
 * Python twin: quantmcu_kit/ops/variants/pairs.py. */
#ifndef QMCU_CORE_PAIRS_H
#define QMCU_CORE_PAIRS_H

#include <stdint.h>

/* A column is a pixel's window as words of two int16 lanes each. Four values k, k+1, k+2, k+3 of a run become the words
 * (k, k+2) and (k+1, k+3), lower lane first: what one extension of bytes to halfwords gives. Of what is left of a run,
 * three become (k, k+2) and (k+1, 0), two (k, k+1), one (k, 0). A run is what lies together: a row of a window. */
static inline int32_t qmcu_run_words(int32_t values)
{
    return (values + 1) >> 1;
}

/* Two sources of runs of int8 values, and where their columns go. Skips are bytes from the end of a run to the start of
 * the next one. */
typedef struct {
    int32_t values;         /* of a run */
    int32_t rows;           /* runs, > 0 */
    int32_t skip_a, skip_b; /* of the sources */
    int32_t skip_to;        /* of the columns */
    int32_t sum_bytes;      /* from the sums of a run to those of the next one */
} qmcu_runs_t;

/* Products of columns with groups of four output channels, the last of which may be padded.
 *
 * nest 8: a group has two words for each word of a column: of channels 0 and 1, and of channels 2 and 3. A lane is
 *   256 * w[odd] + w[even].
 * nest 4: a group has one word for each word of a column. A lane is 4096 * w[3] + 256 * u[2] + 16 * w[1] + u[0] for
 *   u = w + 8, w[2] > -8.
 * A sum over lanes is a sum over channels, each with its factor: those below it are summed by themselves and taken off.
 * This is exact modulo 2^32 where |sum of channel i| < 2^23 (odd i, nest 8), or 2^27, 2^23, 2^19 (i = 1, 2, 3,
 * nest 4): checked when the library is built. */
typedef struct {
    const int32_t *weights; /* [groups][words][2 or 1], or as lines */
    const int32_t *lanes;   /* [groups * 4][QMCU_LANE_WORDS], see requant_lane.h; NULL: the weights are as lines */
    int32_t words;          /* of a column, > 0 */
    int32_t groups;         /* > 0 */
    int32_t is_rectified;   /* 1: results below the zero-point are clamped to it by the caller or by saturation */
    uint32_t *sums;         /* nest 4: QMCU_SUMS words: the sums of both columns' lanes, and room */
} qmcu_tiles_t;

#define QMCU_SUMS 4

/* Weights as lines, nest 8: what requantization needs is beside them, as it is used. Of channels 2i and 2i + 1 of a
 * group, i = 0 and 1, this is
 *   int32_t bias[2 * i + 1], for both i; weights[words][2]; then, for each i, bias[2 * i], multiplier[2 * i] and
 *   multiplier[2 * i + 1].
 * An output is ((x * multiplier) >> 32) >> QMCU_TILE_LINE_SHIFT, saturated, for x = 256 * sum + bias, |x| < 2^31. */
#define QMCU_TILE_LINE_SHIFT 10

/* Products of one column with groups of eight output channels, then with smaller ones: of two channels (nest 8) or of
 * four (nest 4). The sums round once. */
typedef struct {
    const int32_t *weights; /* [groups][words][4 or 2], then [rest][words], nested as above */
    const int32_t *lanes;   /* of all channels of all groups */
    int32_t words;          /* of the column, even, > 0; what a run lacks is zeros */
    int32_t groups, rest;   /* of eight channels, and smaller ones */
} qmcu_rows_t;

/* Words that lie before the words of one column: the first one is the sum of its lanes. */
#define QMCU_ROW_HEAD 8

/* How saturated values of a pixel or row are written. */
typedef struct {
    int32_t count, bits; /* values, and the bits of one: 8, 4 or 2 */
    int32_t low, high;   /* within int8, 0..15 or 0..3 */
} qmcu_limits_t;

#endif
