/* outer_sums_ref.c: fields of pieces of a window as sums, and sums as bytes, in portable C. See core/outer.h. */
#include "../core/requant_lane.h"
#include "nested.h"
#include "outer_pixels.h"

void qmcu_outer_sums__ref(const uint32_t *fields, int32_t pixels, int32_t groups, int32_t is_first, int32_t *sums)
{
    const int32_t step = qmcu_outer_step(pixels);
    const uint32_t mask = (1u << step) - 1u;
    for (int32_t pair = 0; pair < 2 * groups; ++pair, fields += 4) {
        for (int32_t odd = 0; odd < 2; ++odd) {
            for (int32_t i = 0; i < 2 * pixels; ++i, ++sums) {
                const uint32_t *words = fields + i / pixels * 2;
                const uint64_t both = (uint64_t)words[1] << 32 | words[0];
                const int32_t place = step * (odd * pixels + i % pixels);
                *sums = (is_first ? 0 : *sums) + (int32_t)((uint32_t)(both >> place) & mask);
            }
        }
    }
}

void qmcu_outer_bytes__ref(const int32_t *sums, const int32_t *lanes, int32_t channels, int32_t pixels, int8_t *out,
                           int32_t pitch)
{
    for (int32_t c = 0; c < channels; ++c, sums += 2 * pixels) {
        const qmcu_lane_t lane = qmcu_lane_at(lanes, c);
        for (int32_t i = 0; i < 2 * pixels; ++i) {
            out[i * pitch + c] = qmcu_saturated(qmcu_lane_twice(&lane, sums[i]));
        }
    }
}
