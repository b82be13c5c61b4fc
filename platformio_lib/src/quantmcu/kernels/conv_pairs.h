/* conv_pairs.h: CONV_2D two pixels at a time, weights of two or four output channels nested in one 16-bit lane.
 * Python twin: quantmcu_kit/ops/variants/conv_pairs.py, which arranges the constants and checks their bounds. */
#ifndef QMCU_KERNELS_CONV_PAIRS_H
#define QMCU_KERNELS_CONV_PAIRS_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qmcu_shape_t in, out;
    qmcu_size_t kernel, stride, dilation;
    qmcu_margin_t pad;
    int8_t in_zero;         /* zero-point of the input: the value of padding */
    int8_t low, high;       /* limits of the output, after it was saturated to int8 */
    uint8_t nest;           /* bits of a nested weight, 8 or 4 */
    uint8_t is_rectified;   /* 1: low is the zero-point of the output, or above it */
    uint8_t moves;          /* how often the rows of a strip move on in its buffer, before they begin anew;
                               without strips: pairs of pixels whose columns are held at a time, > 0 */
    int32_t strip;          /* pairs of pixels beside one another whose windows are held at a time; 0: a pixel each */
    const int32_t *weights; /* in groups of 4 output channels, see core/pairs.h; a window by its columns */
    const int32_t *lanes;   /* of the same groups, see core/requant_lane.h; NULL: weights are as lines */
} qmcu_conv_pairs_t;

/* in and out are whole maps that do not overlap. scratch is aligned to 4. */
void qmcu_conv_pairs(const qmcu_conv_pairs_t *layer, const int8_t *in, int8_t *out, int8_t *scratch);

/* The same for a part. */
void qmcu_conv_pairs_part(const qmcu_conv_pairs_t *layer, const qmcu_part_t *part, int8_t *scratch);

#ifdef __cplusplus
}
#endif

#endif
