/* turn.h: parts whose columns are taken for rows, for kernels whose rows have fixed costs. */
#ifndef QMCU_CORE_TURN_H
#define QMCU_CORE_TURN_H

#include "part.h"

static inline void qmcu_swap(int32_t *a, int32_t *b)
{
    const int32_t c = *a;
    *a = *b;
    *b = c;
}

/* Where rows [start, end) of a view do not lie at both ends of a ring: 1, and in *offset the bytes that they lie further
 * than row numbers say without a ring. Else 0. */
static inline int qmcu_lie_in_line(int32_t start, int32_t end, int32_t top, int32_t rows, int32_t row_bytes,
                                   ptrdiff_t *offset)
{
    *offset = start - top < rows ? 0 : -(ptrdiff_t)rows * row_bytes;
    return (start - top < rows) == (end - 1 - top < rows);
}

/* Turns a part that needs rows [start, end) of the input, so that its rows become columns. Returns 0 and leaves it as it
 * is where rings of rows do not let it be turned. */
static inline int qmcu_turn(qmcu_part_t *part, int32_t start, int32_t end)
{
    qmcu_source_t *in = &part->in;
    qmcu_target_t *out = &part->out;
    qmcu_region_t *region = &part->region;
    ptrdiff_t in_offset, out_offset;
    if (start >= end || !qmcu_lie_in_line(start, end, in->top, in->rows, in->row_bytes, &in_offset) ||
        !qmcu_lie_in_line(region->top, region->bottom, out->top, out->rows, out->row_bytes, &out_offset)) {
        return 0;
    }
    in->data += in_offset;
    out->data += out_offset;
    in->rows = out->rows = INT32_MAX / 2;
    qmcu_swap(&in->row_bytes, &in->pixel_bytes);
    qmcu_swap(&in->top, &in->left);
    qmcu_swap(&out->row_bytes, &out->pixel_bytes);
    qmcu_swap(&out->top, &out->left);
    qmcu_swap(&region->top, &region->left);
    qmcu_swap(&region->bottom, &region->right);
    return 1;
}

#endif
