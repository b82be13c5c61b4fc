/* nested.h: sums of channels whose weights are nested in 16-bit lanes (core/pairs.h), in portable C. */
#ifndef QMCU_PRIMITIVES_NESTED_H
#define QMCU_PRIMITIVES_NESTED_H

#include <stdint.h>

static inline int32_t qmcu_low_lane(uint32_t word)
{
    return (int32_t)(word << 16) >> 16;
}

static inline int32_t qmcu_high_lane(uint32_t word)
{
    return (int32_t)word >> 16;
}

static inline uint32_t qmcu_lanes_of(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xffffu) | (uint32_t)high << 16;
}

/* A lane 256 * w[1] + w[0]. */
static inline void qmcu_add_lane_s8(int32_t lane, int32_t x, int32_t *sum)
{
    const int32_t even = (int32_t)((uint32_t)lane << 24) >> 24;
    sum[0] += even * x;
    sum[1] += ((lane - even) >> 8) * x;
}

/* A lane 4096 * w[3] + 256 * (w[2] + 8) + 16 * w[1] + w[0] + 8. */
static inline void qmcu_add_lane_s4(int32_t lane, int32_t x, int32_t *sum)
{
    const int32_t below = (int32_t)((uint32_t)lane << 24) >> 24, above = (lane - below) >> 8;
    sum[0] += ((below & 15) - 8) * x;
    sum[1] += (below >> 4) * x;
    sum[2] += ((above & 15) - 8) * x;
    sum[3] += (above >> 4) * x;
}

/* sum[0..1] and sum[0..3] of a word of weights times a word of a column. |sum| < 2^30: checked at build time. */
static inline void qmcu_add_nested_s8(int32_t weights, uint32_t x, int32_t *sum)
{
    qmcu_add_lane_s8(qmcu_low_lane((uint32_t)weights), qmcu_low_lane(x), sum);
    qmcu_add_lane_s8(qmcu_high_lane((uint32_t)weights), qmcu_high_lane(x), sum);
}

static inline void qmcu_add_nested_s4(int32_t weights, uint32_t x, int32_t *sum)
{
    qmcu_add_lane_s4(qmcu_low_lane((uint32_t)weights), qmcu_low_lane(x), sum);
    qmcu_add_lane_s4(qmcu_high_lane((uint32_t)weights), qmcu_high_lane(x), sum);
}

static inline int8_t qmcu_saturated(int32_t y)
{
    const int32_t raised = y < -128 ? -128 : y;
    return (int8_t)(raised > 127 ? 127 : raised);
}

#endif
