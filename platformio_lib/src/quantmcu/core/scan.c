/* scan.c: adds up the scores of a patch's values. */
#include "scan.h"

/* Of 8-bit values one after another. */
static uint32_t score(const int8_t *values, int32_t count, const uint16_t *scores)
{
    uint32_t sum = 0;
    for (int32_t i = 0; i < count; ++i) {
        sum += scores[(uint8_t)values[i]];
    }
    return sum;
}

/* Of the values of packed pixels one after another. */
static uint32_t score_packed(const int8_t *pixel, int32_t pixel_bytes, int32_t pixels, int32_t channels,
                             const qmcu_scan_t *scan)
{
    const uint32_t mask = (1u << scan->bits) - 1u;
    uint32_t sum = 0;
    for (; pixels > 0; --pixels, pixel += pixel_bytes) {
        for (int32_t bit = 0; bit < channels * scan->bits; bit += scan->bits) {
            sum += scan->scores[((uint32_t)(uint8_t)pixel[bit >> 3] >> (bit & 7)) & mask];
        }
    }
    return sum;
}

int qmcu_is_outlier(const qmcu_patch_t *patch, const qmcu_scan_t *scan)
{
    const qmcu_region_t region = qmcu_region(patch, 0);
    const qmcu_source_t in = qmcu_source(patch, 0);
    const int32_t columns = region.right - region.left;
    const int32_t channels = patch->segment->maps[0].channels;
    uint32_t sum = 0, values = 0;
    for (int32_t y = region.top; y < region.bottom && columns > 0; ++y) {
        const int8_t *row = qmcu_source_pixel(&in, y, region.left);
        if (QMCU_PACKED && scan->bits < 8) {
            sum += score_packed(row, in.pixel_bytes, columns, channels, scan);
        } else {
            sum += score(row, columns * channels, scan->scores);
        }
        values += (uint32_t)(columns * channels);
    }
    return sum > scan->limit * values;
}
