/* field_rows.h: one row of values below 8 bits times weights of 4 bits, two output channels in fields of a 16-bit lane.
 * Python twin: quantmcu_kit/ops/variants/fully_connected_fields.py, which arranges the constants and checks bounds.
 *
 * A lane of weights is u[even] + 4096 * w[odd] for two output channels, u = w + 8; a word is two lanes, which meet two
 * values. A segment is as many values as the sums of even channels have room for in 12 bits: it begins with D - 8 *
 * (sum of its values) below what the sums of odd channels have come to, and ends with 0 <= D + sum of w * value < 2^12
 * there. That is taken to the totals of even channels, which are 16 bits; those of odd channels remain, in 20 bits. */
#ifndef QMCU_CORE_FIELD_ROWS_H
#define QMCU_CORE_FIELD_ROWS_H

#include <stdint.h>

#define QMCU_FIELD_UNIT 8       /* values that become words together: value i and value i + 4 word i */
#define QMCU_FIELD_UNIT_WORDS 4
#define QMCU_FIELD_BITS 12      /* of the sum of an even channel */

/* A column is words:
 *   what totals of even channels begin with, twice;
 *   what accumulators begin with: as much as the starts of all segments took away from odd channels;
 *   for each segment the low 12 bits of its start, how many words it has, and these;
 *   two more, the second of which is 0. */
#define QMCU_FIELD_HEAD 2

/* Eight output channels take four words for two words of a column; four channels take two. A word has two accumulators:
 * bits 0 to 3 and 12 to 15 of both lanes are the first one's, those of the word rotated by 8 bits the second one's. */
typedef struct {
    const int32_t *weights; /* [groups of eight][words], then those of a group of four */
    const int32_t *lanes;   /* of all channels of all groups, of each four in the order 1, 3, 0, 2 */
    int32_t groups, rest;   /* of eight channels; 1: four more behind them, else 0 */
} qmcu_field_rows_t;

#endif
