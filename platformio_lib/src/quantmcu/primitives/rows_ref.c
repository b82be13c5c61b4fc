/* rows_ref.c: one column times nested weights, and their requantization, in portable C. */
#include "../core/requant_lane.h"
#include "nested.h"
#include "primitives.h"

uint32_t qmcu_widen_row_summed__ref(const int8_t *x, int32_t count, uint32_t *column)
{
    int32_t sum = 0, k = 0; /* |sum| <= 2^16 * 128 */
    for (; k + 4 <= count; k += 4, x += 4, column += 2) {
        column[0] = qmcu_lanes_of(x[0], x[2]);
        column[1] = qmcu_lanes_of(x[1], x[3]);
        sum += x[0] + x[1] + x[2] + x[3];
    }
    if (k < count) {
        const int32_t left = count - k, second = left > 1 ? x[1] : 0, third = left > 2 ? x[2] : 0;
        column[0] = qmcu_lanes_of(x[0], left == 2 ? second : third);
        column[1] = qmcu_lanes_of(left == 2 ? 0 : second, 0);
        sum += x[0] + second + third;
    }
    return (uint32_t)sum;
}

void qmcu_widen_row__ref(const int8_t *x, int32_t count, uint32_t *column)
{
    (void)qmcu_widen_row_summed__ref(x, count, column);
}

static int8_t *finish(const int32_t *lanes, const int32_t *sum, int32_t channels, int8_t *out)
{
    for (int32_t c = 0; c < channels; ++c) {
        const qmcu_lane_t lane = qmcu_lane_at(lanes, c);
        *out++ = qmcu_saturated(qmcu_lane_once(&lane, sum[c]));
    }
    return out;
}

void qmcu_rows_s8__ref(uint32_t *column, const qmcu_rows_t *rows, int8_t *out)
{
    const int32_t *weights = rows->weights, *lanes = rows->lanes;
    for (int32_t group = 0; group < rows->groups + rows->rest; ++group) {
        const int32_t channels = group < rows->groups ? 8 : 2;
        int32_t sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        for (int32_t k = 0; k < rows->words; ++k) {
            for (int32_t c = 0; c < channels; c += 2) {
                qmcu_add_nested_s8(*weights++, column[QMCU_ROW_HEAD + k], sum + c);
            }
        }
        out = finish(lanes, sum, channels, out);
        lanes += channels * QMCU_LANE_WORDS;
    }
}

void qmcu_rows_s4__ref(uint32_t *column, const qmcu_rows_t *rows, int8_t *out)
{
    const int32_t *weights = rows->weights, *lanes = rows->lanes;
    for (int32_t group = 0; group < rows->groups + rows->rest; ++group) {
        const int32_t channels = group < rows->groups ? 8 : 4;
        int32_t sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        for (int32_t k = 0; k < rows->words; ++k) {
            for (int32_t c = 0; c < channels; c += 4) {
                qmcu_add_nested_s4(*weights++, column[QMCU_ROW_HEAD + k], sum + c);
            }
        }
        out = finish(lanes, sum, channels, out);
        lanes += channels * QMCU_LANE_WORDS;
    }
}
