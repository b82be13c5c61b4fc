/* types.h: the small value types that kernels share. C99, and valid C++11. */
#ifndef QMCU_CORE_TYPES_H
#define QMCU_CORE_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include "../../quantmcu_config.h"

/* Height and width, in pixels or steps. */
typedef struct {
    int32_t h, w;
} qmcu_size_t;

/* A feature map: height, width, channels; channels are contiguous (NHWC with one picture). */
typedef struct {
    int32_t h, w, c;
} qmcu_shape_t;

/* Padding before the first row and column. What follows the last ones is implied by the output's size. */
typedef struct {
    int32_t top, left;
} qmcu_pad_t;

/* Requantization of an int32 accumulator to int8:
 *   y = clamp(zero_point + round((acc + bias[c]) * multiplier[c] * 2^(shift[c] - 31)), low, high)
 * with TFLite's two roundings. multiplier and shift hold one entry per channel when per_channel is 1,
 * else one entry for all. |acc + bias| * 2^max(shift, 0) < 2^31 is checked when the library is built. */
typedef struct {
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    uint8_t per_channel;
    int8_t zero_point, low, high;
} qmcu_requant_t;

#endif
