/* conv_outer.h: convolution of a map of 4 or 2 bits with weights of 4 or 2 bits, by outer products of pixels and output
 * channels (core/outer.h). Python twin: quantmcu_kit/ops/variants/conv_outer.py. */
#ifndef QMCU_KERNELS_CONV_OUTER_H
#define QMCU_KERNELS_CONV_OUTER_H

#include "../core/part.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Each pixel of a window is units of eight channels, the last one padded. The units of a row of the window are prepared
 * in chunks of `chunk` units, all of a row or at most those of a pixel; so many chunks in turn are a piece: as much as
 * the fields of an accumulator hold. */
typedef struct {
    qmcu_shape_t in, out;
    qmcu_size_t kernel, stride, dilation;
    qmcu_margin_t pad;
    int8_t in_zero;           /* zero-point of the input: the value of padding */
    uint8_t weight_bits;      /* 4 or 2 */
    uint8_t pixels;           /* of a word: 2 with weights of 4 bits, else 3 or 4 */
    uint8_t finish;           /* see core/outer.h; QMCU_OUTER_NONE: by requant */
    uint8_t is_window;        /* 1: three columns side by side, as QMCU_OUTER_WINDOW has them; one piece */
    uint8_t rows;             /* of prepared words that scratch has room for: kernel.h or more */
    int32_t start;            /* D of each piece */
    int32_t chunk, chunks;    /* the last ones of a pixel and of a window may be less */
    const int32_t *weights;   /* by piece, as in qmcu_outer_tile_t */
    const int32_t *constants; /* as in qmcu_outer_tile_t; with QMCU_OUTER_NONE lanes whose bias2 has -2 * D of every
                                 piece, or NULL */
    qmcu_requant_t requant;   /* without constants: bias holds the correction for in_zero, and -D of every piece; else
                                 the limits, which matter to QMCU_OUTER_NONE and QMCU_OUTER_BYTES */
} qmcu_conv_outer_t;

/* in and out are whole maps that do not overlap; scratch is aligned to 4 bytes. */
void qmcu_conv_outer(const qmcu_conv_outer_t *layer, const int8_t *in, int8_t *out, int8_t *scratch);

void qmcu_conv_outer_part(const qmcu_conv_outer_t *layer, const qmcu_part_t *part, int8_t *scratch);

#ifdef __cplusplus
}
#endif

#endif
