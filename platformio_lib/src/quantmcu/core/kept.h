/* kept.h: which pixels of a map a patch moves between its tile and the rows that are kept. */
#ifndef QMCU_CORE_KEPT_H
#define QMCU_CORE_KEPT_H

#include "patch.h"

static inline const qmcu_span_t *qmcu_rows_of(const qmcu_patch_t *patch, int32_t step, int32_t map)
{
    return patch->segment->rows + (ptrdiff_t)step * patch->segment->map_count + map;
}

static inline const qmcu_span_t *qmcu_columns_of(const qmcu_patch_t *patch, int32_t step, int32_t map)
{
    return patch->segment->columns + (ptrdiff_t)step * patch->segment->map_count + map;
}

/* What comes back into the tile before the patch computes its new part: the rows above it. */
static inline qmcu_region_t qmcu_taken(const qmcu_patch_t *patch, int32_t map)
{
    qmcu_region_t region = qmcu_region(patch, map);
    region.bottom = region.top;
    region.top = qmcu_rows_of(patch, patch->row, map)->first;
    return region;
}

/* What is saved of the new part where a row of patches follows: the rows that it needs, without the columns that the
 * next patch saves. */
static inline qmcu_region_t qmcu_given(const qmcu_patch_t *patch, int32_t map)
{
    const int32_t column = patch->column;
    const int32_t top = qmcu_rows_of(patch, patch->row + 1, map)->first;
    qmcu_region_t region = qmcu_region(patch, map);
    if (top > region.top) {
        region.top = top;
    }
    region.left = qmcu_columns_of(patch, column, map)->first;
    if (column + 1 < patch->segment->column_steps) {
        const int32_t right = qmcu_columns_of(patch, column + 1, map)->first;
        if (right < region.right) {
            region.right = right;
        }
    }
    return region;
}

#endif
