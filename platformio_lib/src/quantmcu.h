/* quantmcu.h: integer kernels for quantized neural networks. C99; this header and all below it are valid C++11.
 *
 * A feature map is in NHWC order with one picture: rows of pixels of contiguous channels. Values are int8 or, packed
 * low bits first, unsigned with 4 or 2 bits; then each pixel begins in a byte of its own, and bits that are left in its
 * last byte may be anything. A quantized value q stands for the real value scale * (q - zero_point).
 *
 * Every kernel has the form
 *
 *     void qmcu_<kernel>(const qmcu_<kernel>_t *layer, const int8_t *in, ..., int8_t *out[, int8_t *scratch]);
 *
 * The struct holds sizes, constants and requantization; it is meant to be a constant in flash. The kernel's header
 * gives the size of each buffer and says whether out may overlap an input. Kernels check nothing: whoever fills the
 * struct answers for it. qmkit does so for a whole network, together with a plan of which map lies where:
 *
 *     static const qmcu_conv_2d_t k00 = {.in = {96, 96, 3, 8}, .out = {48, 48, 8, 8}, ...};
 *     static int8_t arena[55296];
 *     qmcu_conv_2d(&k00, arena + 18432, arena, arena + 46080);
 *
 * A layer may also run part by part, on maps of which memory holds tiles or rings of rows (core/part.h, core/patch.h):
 *
 *     void qmcu_<kernel>_part(const qmcu_<kernel>_t *layer, const qmcu_part_t *part[, int8_t *scratch]);
 *
 * The arithmetic of requantization is TFLite's, with its two roundings, so that results equal those of TFLite's
 * reference kernels byte for byte. Compile-time knobs are in quantmcu_config.h. */
#ifndef QUANTMCU_H
#define QUANTMCU_H

#include "quantmcu/core/patch.h"
#include "quantmcu/kernels/add.h"
#include "quantmcu/kernels/average_pool_2d.h"
#include "quantmcu/kernels/binary_table.h"
#include "quantmcu/kernels/concatenation.h"
#include "quantmcu/kernels/conv_2d.h"
#include "quantmcu/kernels/conv_first.h"
#include "quantmcu/kernels/conv_outer.h"
#include "quantmcu/kernels/conv_pairs.h"
#include "quantmcu/kernels/depthwise_conv_2d.h"
#include "quantmcu/kernels/depthwise_planes.h"
#include "quantmcu/kernels/depthwise_poly.h"
#include "quantmcu/kernels/fully_connected.h"
#include "quantmcu/kernels/fully_connected_few.h"
#include "quantmcu/kernels/fully_connected_fields.h"
#include "quantmcu/kernels/fully_connected_pairs.h"
#include "quantmcu/kernels/lookup.h"
#include "quantmcu/kernels/max_pool_2d.h"
#include "quantmcu/kernels/mean.h"
#include "quantmcu/kernels/mul.h"
#include "quantmcu/kernels/pad.h"
#include "quantmcu/kernels/reshape.h"
#include "quantmcu/kernels/resize_nearest_neighbor.h"
#include "quantmcu/kernels/softmax.h"
#include "quantmcu/kernels/transpose.h"

#endif
