/* patch.c: moves pixels between tiles and the rows that are kept for the patches below. */
#include "kept.h"

#include <string.h>

qmcu_target_t qmcu_target(const qmcu_patch_t *patch, int32_t map)
{
    const qmcu_map_t *m = patch->segment->maps + map;
    const int32_t first = qmcu_rows_of(patch, patch->row, map)->first;
    const int is_ring = patch->segment->column_steps == 1; /* rows stay where they are */
    qmcu_target_t target;
    target.data = patch->arena + m->tile;
    target.row_bytes = (int32_t)m->tile_columns * m->pixel_bytes;
    target.pixel_bytes = m->pixel_bytes;
    target.top = is_ring ? first - first % m->tile_rows : first;
    target.left = qmcu_columns_of(patch, patch->column, map)->first;
    target.rows = m->tile_rows;
    target.channels = m->channels;
    return target;
}

qmcu_source_t qmcu_source(const qmcu_patch_t *patch, int32_t map)
{
    const qmcu_target_t target = qmcu_target(patch, map);
    const qmcu_source_t source = {target.data, target.row_bytes, target.pixel_bytes,
                                  target.top,  target.left,      target.rows};
    return source;
}

int qmcu_is_new(const qmcu_patch_t *patch, int32_t map)
{
    const qmcu_span_t *rows = qmcu_rows_of(patch, patch->row, map);
    const qmcu_span_t *columns = qmcu_columns_of(patch, patch->column, map);
    return rows->start < rows->end && columns->start < columns->end;
}

qmcu_region_t qmcu_region(const qmcu_patch_t *patch, int32_t map)
{
    const qmcu_span_t *rows = qmcu_rows_of(patch, patch->row, map);
    const qmcu_span_t *columns = qmcu_columns_of(patch, patch->column, map);
    const qmcu_region_t region = {rows->start, rows->end, columns->start, columns->end};
    return region;
}

qmcu_part_t qmcu_part(const qmcu_patch_t *patch, int32_t in, int32_t out)
{
    const qmcu_source_t source = qmcu_source(patch, in);
    const qmcu_part_t part = {qmcu_region(patch, out), source, source, qmcu_target(patch, out)};
    return part;
}

/* Moves the columns that the tile holds already to where this patch has them. */
static void shift(const qmcu_patch_t *patch, int32_t map)
{
    const qmcu_map_t *m = patch->segment->maps + map;
    const qmcu_span_t *rows = qmcu_rows_of(patch, patch->row, map);
    const qmcu_span_t *columns = qmcu_columns_of(patch, patch->column, map);
    const int32_t by = columns->first - qmcu_columns_of(patch, patch->column - 1, map)->first;
    const int32_t stay = m->tile_columns - by; /* columns */
    if (by <= 0 || stay <= 0) {
        return;
    }
    int8_t *row = patch->arena + m->tile;
    for (int32_t y = rows->first; y < rows->end; ++y) {
        memmove(row, row + (ptrdiff_t)by * m->pixel_bytes, (size_t)stay * m->pixel_bytes);
        row += (ptrdiff_t)m->tile_columns * m->pixel_bytes;
    }
}

/* Copies a region of a map between its tile and its kept rows, into the tile or out of it. */
static void move(const qmcu_patch_t *patch, int32_t map, qmcu_region_t region, int into_tile)
{
    const qmcu_map_t *m = patch->segment->maps + map;
    const qmcu_target_t tile = qmcu_target(patch, map);
    if (region.left >= region.right) {
        return;
    }
    const size_t bytes = (size_t)(region.right - region.left) * m->pixel_bytes;
    for (int32_t y = region.top; y < region.bottom; ++y) {
        const ptrdiff_t pixel = (ptrdiff_t)(y % m->kept_rows) * m->width + region.left;
        int8_t *kept = patch->arena + m->kept + pixel * m->pixel_bytes;
        int8_t *in_tile = qmcu_target_pixel(&tile, y, region.left);
        memcpy(into_tile ? in_tile : kept, into_tile ? kept : in_tile, bytes);
    }
}

void qmcu_enter(const qmcu_patch_t *patch, int32_t map)
{
    if (patch->segment->keeps_columns && patch->column > 0) {
        shift(patch, map);
    }
    if (patch->segment->maps[map].kept_rows != 0) {
        move(patch, map, qmcu_taken(patch, map), 1);
    }
}

void qmcu_leave(const qmcu_patch_t *patch, int32_t map)
{
    if (patch->segment->maps[map].kept_rows != 0 && patch->row + 1 < patch->segment->row_steps) {
        move(patch, map, qmcu_given(patch, map), 0);
    }
}
