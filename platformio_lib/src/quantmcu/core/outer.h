/* outer.h: outer products of pixels and output channels in 64-bit accumulators, for maps and weights below 8 bits.
 * Python twin: quantmcu_kit/ops/variants/outer_fields.py.
 *
 * A word of pixels is a[0] + a[1] * 2^s + ...: the same channel of 2, 3 or 4 pixels, a group. A pair of weights is
 * u[0] + u[1] * 2^(pixels * s): two output channels, unsigned, u = w + z. Their product holds every product of a
 * value and a weight in a field of s bits of its own: 14 for two pixels, 10 for three, 7 for four. Accumulators
 * begin with D - z * (sum of a) in each field, so that they end with D + sum of a * w. Fields may overflow on the
 * way, everything is modulo 2^64; that 0 <= D + sum < 2^s in the end is checked with the weights when the library is
 * built. */
#ifndef QMCU_CORE_OUTER_H
#define QMCU_CORE_OUTER_H

#include <stdint.h>

#define QMCU_OUTER_UNIT 8 /* channels that are prepared and multiplied together; others are padded with u = z */

/* How the fields of a channel become outputs, and its constants.
 * NONE: not at all.
 * LINES: two words, m and b: ((m * field >> 16) + b) >> q, limited to [0, 15]; q is 16 with two pixels, else 12.
 *   This is the requantization with TFLite's two roundings on every field that occurs, which is tried when the
 *   library is built.
 * STEEP: lines with a q of 14, for layers with channels whose factor is a half or more. They give less than 2^15 either
 *   way before they are limited. Weights of 4 bits only.
 * LANES: four words: a lane of core/requant_lane.h, whose bias2 has -2 * D; or, if the last one is 0, m, b and q as above.
 *   Less than 2^15 either way before it is limited to [0, 15].
 * STEPS: three words: the output is how many of them make the highest bit of field + word one, in all fields of a
 *   channel at once: word = (1 + 2^s + ...) * (2^(s - 1) - the least field with that output). Outputs of 2 bits
 *   only.
 * BYTES: outputs are bytes, one for each channel, limited to those of int8, with two or three pixels. As LANES, which
 *   give 128 more than the output. */
enum {
    QMCU_OUTER_NONE,
    QMCU_OUTER_LINES,
    QMCU_OUTER_LANES,
    QMCU_OUTER_STEPS,
    QMCU_OUTER_BYTES = 6, /* tiles look at the two lowest bits first */
    QMCU_OUTER_STEEP = 7
};

/* Of a tile whose windows have three columns that lie side by side: the second group of pixels is the first one
 * moved by a column, so that four columns of words serve both: the groups are pixels 0, 2, ... and 1, 3, ... of the
 * tile. */
#define QMCU_OUTER_WINDOW 3

/* A tile: two groups of pixels times groups of four output channels, the last of which may be padded. */
typedef struct {
    const uint32_t *words;    /* [units][2][8]: of either group of pixels; [units][4][8] with QMCU_OUTER_WINDOW */
    int32_t units;            /* > 0 */
    const int32_t *weights;   /* [groups][units][4 words for weights of 4 bits, 2 for 2 bits]; with QMCU_OUTER_WINDOW
                                 three times as many, in the order [8 k][3 columns] */
    int32_t groups;           /* of channels, > 0 */
    uint64_t start[2];        /* of accumulators, for either group of pixels */
    const int32_t *constants; /* [4 * groups][words of a channel] */
    int8_t *out;              /* pixels of the output from the first channel on; unused with NONE */
    int32_t pixel_bytes;      /* from one pixel of a group to the next */
    int32_t group_bytes;      /* from the first pixel of a group to that of the other */
    int32_t entry;            /* units that are missing to a multiple of 3, or QMCU_OUTER_WINDOW */
    uint32_t *fields;         /* [groups][2 pairs of channels][2 groups of pixels][low and high word] with NONE */
    int32_t finish;           /* one of the above */
} qmcu_outer_tile_t;

#endif
