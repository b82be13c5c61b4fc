/* patch.h: the maps of a segment, layers that run patch by patch, and what they keep from patch to patch.
 *
 * A segment's function visits the patches row by row and, in each, computes the new part of one map after the other:
 *
 *     qmcu_enter(&patch, M);                                  before map M is written
 *     if (qmcu_is_new(&patch, M)) {                           if the patch computes anything of it
 *         const qmcu_part_t part = qmcu_part(&patch, L, M);   its new part, from map L
 *         qmcu_conv_2d_part(&k03, &part, scratch);
 *     }
 *     qmcu_leave(&patch, L);                                  after map L was read for the last time */
#ifndef QMCU_CORE_PATCH_H
#define QMCU_CORE_PATCH_H

#include "part.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A map of a segment: all of it, a tile that moves along or, where a patch has the map's full width, a ring of rows. */
typedef struct {
    uint32_t tile;                    /* offset in the arena */
    uint32_t kept;                    /* offset of the rows that are kept for the patches below */
    uint16_t tile_rows, tile_columns; /* that the tile holds */
    uint16_t width, channels;         /* of the whole map */
    uint16_t pixel_bytes;             /* of a pixel's channels: fewer than these below 8 bits */
    uint16_t kept_rows;               /* over the full width; 0 where none are kept beside the tile */
} qmcu_map_t;

/* Rows (or columns) of a map in one step of the patches: the tile holds them from `first` on, [start, end) are new.
 * Where start = end the step computes nothing of the map, and `first` may lie beyond them. */
typedef struct {
    uint16_t first, start, end;
} qmcu_span_t;

/* first never decreases from step to step along an axis that is kept; otherwise first = start. */
typedef struct {
    const qmcu_map_t *maps;     /* [map_count] */
    const qmcu_span_t *rows;    /* [row_steps][map_count] */
    const qmcu_span_t *columns; /* [column_steps][map_count] */
    uint16_t map_count, row_steps, column_steps;
    uint8_t keeps_columns; /* tiles hold on to columns that the next patch to the right needs */
} qmcu_segment_t;

/* One step of a segment: row < row_steps, column < column_steps. */
typedef struct {
    const qmcu_segment_t *segment;
    int8_t *arena;
    int32_t row, column;
} qmcu_patch_t;

/* Where the patch's pixels of a map lie. */
qmcu_source_t qmcu_source(const qmcu_patch_t *patch, int32_t map);
qmcu_target_t qmcu_target(const qmcu_patch_t *patch, int32_t map);

/* Whether anything of map `map` is new in the patch. */
int qmcu_is_new(const qmcu_patch_t *patch, int32_t map);

/* What is new of map `map` in the patch; may be empty. */
qmcu_region_t qmcu_region(const qmcu_patch_t *patch, int32_t map);

/* The new part of map `out`, computed from map `in`; `other` is a copy of `in`. */
qmcu_part_t qmcu_part(const qmcu_patch_t *patch, int32_t in, int32_t out);

/* Makes room for the new part of a map: what the tile keeps moves to its place, and kept rows come back into it. */
void qmcu_enter(const qmcu_patch_t *patch, int32_t map);

/* Saves the rows that patches below need of the columns that the tile is about to give up. */
void qmcu_leave(const qmcu_patch_t *patch, int32_t map);

#ifdef __cplusplus
}
#endif

#endif
