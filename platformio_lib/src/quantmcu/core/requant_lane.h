/* requant_lane.h: requantization with its constants prearranged: five operations on a Cortex-M4, four of them where
 * negative sums are clamped away. Python twin: quantmcu_kit/ops/variants/lanes.py, which checks every bound. */
#ifndef QMCU_CORE_REQUANT_LANE_H
#define QMCU_CORE_REQUANT_LANE_H

#include <stdint.h>

/* Of an output channel. With n = shift and z the output's zero-point:
 *   round(round(x * multiplier / 2^32) / 2^n) + z = (smmlar(x, multiplier, round) + (x >> 31)) >> n
 * for x = bias2 + 2 * sum, where round = (z << n) + 2^(n-1) and halves of the outer rounding go away from zero.
 * bias2 is modulo 2^32; |x| < 2^31 and |round(x * multiplier / 2^32) + round| < 2^31 - 1.
 * With n = 0 there is one rounding, in which the sign has no part: x is never negative then, where a kernel adds the
 * sign. What bias2 is more for that, round takes off; that no output differs is checked when the library is built. */
typedef struct {
    int32_t bias2;      /* 2 * bias, which holds the corrections for zero-points */
    int32_t multiplier; /* 0 <= multiplier < 2^31 */
    int32_t round;
    int32_t shift; /* n, 0..30 */
} qmcu_lane_t;

#define QMCU_LANE_WORDS 4

/* Lane `channel` of the constants, int32_t [channels][QMCU_LANE_WORDS]. */
static inline qmcu_lane_t qmcu_lane_at(const int32_t *lanes, int32_t channel)
{
    const int32_t *words = lanes + QMCU_LANE_WORDS * channel;
    const qmcu_lane_t lane = {words[0], words[1], words[2], words[3]};
    return lane;
}

/* x of a sum: the only operation that may go beyond 32 bits before the bias is added. */
static inline int32_t qmcu_lane_sum(const qmcu_lane_t *lane, int32_t sum)
{
    return (int32_t)((uint32_t)lane->bias2 + 2u * (uint32_t)sum);
}

/* Two roundings, as TFLite's convolutions have them. */
static inline int32_t qmcu_lane_twice(const qmcu_lane_t *lane, int32_t sum)
{
    const int32_t x = qmcu_lane_sum(lane, sum);
    const int32_t high = (int32_t)(((int64_t)x * lane->multiplier + ((int64_t)1 << 31)) >> 32);
    return (high + lane->round + (x >> 31)) >> lane->shift;
}

/* The same where results below the zero-point are clamped to it: negative sums may round either way. */
static inline int32_t qmcu_lane_rectified(const qmcu_lane_t *lane, int32_t sum)
{
    const int32_t x = qmcu_lane_sum(lane, sum);
    const int32_t high = (int32_t)(((int64_t)x * lane->multiplier + ((int64_t)1 << 31)) >> 32);
    return (high + lane->round) >> lane->shift;
}

/* One rounding, as in TFLite's fully connected layers: the multiplier is chosen such that no product is a half. */
static inline int32_t qmcu_lane_once(const qmcu_lane_t *lane, int32_t sum)
{
    const int32_t x = qmcu_lane_sum(lane, sum);
    return ((int32_t)(((int64_t)x * lane->multiplier) >> 32) + lane->round) >> lane->shift;
}

#endif
