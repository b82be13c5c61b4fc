/* part.h: a part of a map that a kernel computes, and where the rows of the maps that are there lie in memory.
 *
 * Rows and columns are always those of the whole map. A view may hold few of them: a tile, or a ring of rows. */
#ifndef QMCU_CORE_PART_H
#define QMCU_CORE_PART_H

#include "types.h"

/* Rows [top, bottom) and columns [left, right) of a map; empty where one does not exceed the other. */
typedef struct {
    int32_t top, bottom, left, right;
} qmcu_region_t;

/* Where a kernel reads. Row y of the map lies y - top rows after data, or `rows` less where that is not below `rows`:
 * a ring, whose next rows take the places of its first ones. Column x lies (x - left) * pixel_bytes further. */
typedef struct {
    const int8_t *data;
    int32_t row_bytes, pixel_bytes; /* from row to row and from pixel to pixel; both 0: one pixel for all of a map */
    int32_t top, left;              /* the map's row and column that lie at data, or once did in a ring */
    int32_t rows;                   /* that the memory has: top <= y < top + 2 * rows for every row y that is there */
} qmcu_source_t;

/* Where a kernel writes; rows and columns lie as in a source. */
typedef struct {
    int8_t *data;
    int32_t row_bytes, pixel_bytes; /* may exceed a pixel's own: some channels of a wider map */
    int32_t top, left;
    int32_t rows;
    int32_t channels; /* of the map */
} qmcu_target_t;

/* What a kernel computes: a region of its output. The source holds every pixel within the image that this needs. */
typedef struct {
    qmcu_region_t region;
    qmcu_source_t in;
    qmcu_source_t other; /* the second operand of sums and products */
    qmcu_target_t out;
} qmcu_part_t;

/* Bytes from data to row y, for y as in qmcu_source_t. */
static inline ptrdiff_t qmcu_row_offset(int32_t y, int32_t top, int32_t rows, int32_t row_bytes)
{
    const int32_t place = y - top;
    return (ptrdiff_t)(place < rows ? place : place - rows) * row_bytes;
}

/* Column `left` of row y. */
static inline const int8_t *qmcu_source_row(const qmcu_source_t *source, int32_t y)
{
    return source->data + qmcu_row_offset(y, source->top, source->rows, source->row_bytes);
}

/* The pixel in column x of row y. */
static inline const int8_t *qmcu_source_pixel(const qmcu_source_t *source, int32_t y, int32_t x)
{
    return qmcu_source_row(source, y) + (ptrdiff_t)(x - source->left) * source->pixel_bytes;
}

static inline int8_t *qmcu_target_pixel(const qmcu_target_t *target, int32_t y, int32_t x)
{
    return target->data + qmcu_row_offset(y, target->top, target->rows, target->row_bytes) +
           (ptrdiff_t)(x - target->left) * target->pixel_bytes;
}

/* A map that lies in memory as a whole. */
static inline qmcu_source_t qmcu_whole_source(qmcu_shape_t shape, const int8_t *data)
{
    const int32_t pixel_bytes = qmcu_run_bytes(shape.c, shape.bits);
    const qmcu_source_t source = {data, shape.w * pixel_bytes, pixel_bytes, 0, 0, shape.h};
    return source;
}

static inline qmcu_target_t qmcu_whole_target(qmcu_shape_t shape, int8_t *data)
{
    const int32_t pixel_bytes = qmcu_run_bytes(shape.c, shape.bits);
    const qmcu_target_t target = {data, shape.w * pixel_bytes, pixel_bytes, 0, 0, shape.h, shape.c};
    return target;
}

/* One pixel for all of a map: an operand with a value per channel. */
static inline qmcu_source_t qmcu_constant(const int8_t *values)
{
    const qmcu_source_t source = {values, 0, 0, 0, 0, INT32_MAX / 2};
    return source;
}

/* An operand of a sum or product, in which one pixel may stand for all of a map. */
static inline qmcu_source_t qmcu_operand(const qmcu_source_t *source, int is_one_pixel)
{
    return is_one_pixel ? qmcu_constant(source->data) : *source;
}

/* All of the output, from an input in memory as a whole. */
static inline qmcu_part_t qmcu_whole(qmcu_shape_t in_shape, const int8_t *in, qmcu_shape_t out_shape, int8_t *out)
{
    const qmcu_region_t region = {0, out_shape.h, 0, out_shape.w};
    const qmcu_source_t source = qmcu_whole_source(in_shape, in);
    const qmcu_part_t part = {region, source, source, qmcu_whole_target(out_shape, out)};
    return part;
}

/* The same where the output's pixels are some channels of wider ones, pixel_bytes apart. */
static inline qmcu_part_t qmcu_slice(qmcu_shape_t in_shape, const int8_t *in, qmcu_shape_t out_shape, int8_t *out,
                                     int32_t pixel_bytes)
{
    qmcu_part_t part = qmcu_whole(in_shape, in, out_shape, out);
    part.out.pixel_bytes = pixel_bytes;
    part.out.row_bytes = out_shape.w * pixel_bytes;
    return part;
}

/* What two regions have in common. */
static inline qmcu_region_t qmcu_common(qmcu_region_t a, qmcu_region_t b)
{
    qmcu_region_t both;
    both.top = a.top > b.top ? a.top : b.top;
    both.bottom = a.bottom < b.bottom ? a.bottom : b.bottom;
    both.left = a.left > b.left ? a.left : b.left;
    both.right = a.right < b.right ? a.right : b.right;
    return both;
}

/* What of `part` lies at `place`, rows and columns of the output where an input joins it: read from that input. */
static inline qmcu_part_t qmcu_joined(qmcu_part_t part, qmcu_region_t place)
{
    part.region = qmcu_common(part.region, place);
    part.in.top += place.top;
    part.in.left += place.left;
    return part;
}

#endif
