/* kernel_parts.c: kernels on parts of maps that lie in memory as a test says, and maps of a segment patch by patch.
 *
 *     kernel_parts part CASE    parts of an output, one after the other
 *     kernel_parts sum CASE     an output that is added up from parts of its input
 *     kernel_parts patch        a map that patches enter, write and leave
 *
 * All numbers on stdin are int32. Every buffer is a block of its own, of exactly the bytes that are stated. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

#define MOST_SOURCES 4

/* Ends the program where stdin does; only then, or when it lies, is fewer read than asked for. */
static void read_bytes(void *to, size_t bytes)
{
    if (bytes != 0 && fread(to, 1, bytes, stdin) != bytes) {
        exit(feof(stdin) ? 0 : 2);
    }
}

static int32_t read_number(void)
{
    int32_t number;
    read_bytes(&number, sizeof number);
    return number;
}

static int8_t *read_block(int32_t bytes)
{
    int8_t *block = malloc((size_t)bytes);
    read_bytes(block, (size_t)bytes);
    return block;
}

/* A view and its memory: bytes, offset of data, row_bytes, pixel_bytes, top, left, rows, channels, the bytes. Without
 * bytes the view lies in `shared`. */
typedef struct {
    int8_t *block;
    int32_t bytes;
    qmcu_target_t view;
} buffer_t;

static buffer_t read_buffer(int8_t *shared)
{
    buffer_t buffer;
    int32_t n[8];
    read_bytes(n, sizeof n);
    buffer.bytes = n[0];
    buffer.block = n[0] != 0 ? read_block(n[0]) : NULL;
    buffer.view.data = (n[0] != 0 ? buffer.block : shared) + n[1];
    buffer.view.row_bytes = n[2];
    buffer.view.pixel_bytes = n[3];
    buffer.view.top = n[4];
    buffer.view.left = n[5];
    buffer.view.rows = n[6];
    buffer.view.channels = n[7];
    return buffer;
}

static qmcu_source_t as_source(qmcu_target_t view)
{
    const qmcu_source_t source = {view.data, view.row_bytes, view.pixel_bytes, view.top, view.left, view.rows};
    return source;
}

static qmcu_region_t read_region(void)
{
    qmcu_region_t region;
    region.top = read_number();
    region.bottom = read_number();
    region.left = read_number();
    region.right = read_number();
    return region;
}

/* For each part: number of sources, sources, target, region. Writes all bytes of the target's memory. */
static void run_parts(const case_t *test)
{
    int8_t *scratch = test->scratch_bytes != 0 ? malloc((size_t)test->scratch_bytes) : NULL;
    for (;;) {
        buffer_t sources[MOST_SOURCES], target;
        qmcu_source_t views[MOST_SOURCES];
        const int32_t count = read_number();
        for (int32_t i = 0; i < count; ++i) {
            sources[i] = read_buffer(NULL);
            views[i] = as_source(sources[i].view);
        }
        target = read_buffer(sources[0].block);
        test->run(views, &target.view, read_region(), scratch);
        if (target.block != NULL) {
            fwrite(target.block, 1, (size_t)target.bytes, stdout);
        } else {
            fwrite(sources[0].block, 1, (size_t)sources[0].bytes, stdout);
        }
        fflush(stdout);
        free(target.block);
        for (int32_t i = 0; i < count; ++i) {
            free(sources[i].block);
        }
    }
}

/* Number of sums, bytes of the output, width of the input, number of parts; for each part: source, region. Writes the
 * output. */
static void run_sum(const case_t *test)
{
    const int32_t sums = read_number(), bytes = read_number(), width = read_number(), parts = read_number();
    int32_t *sum = calloc((size_t)sums, sizeof *sum);
    int8_t *out = malloc((size_t)bytes);
    for (int32_t i = 0; i < parts; ++i) {
        qmcu_part_t part;
        const buffer_t source = read_buffer(NULL);
        memset(&part, 0, sizeof part);
        part.in = as_source(source.view);
        part.out = source.view;
        part.region = read_region();
        test->add(&part, width, sum);
        free(source.block);
    }
    test->end(sum, out);
    fwrite(out, 1, (size_t)bytes, stdout);
    free(out);
    free(sum);
}

static qmcu_span_t *read_spans(int32_t count)
{
    qmcu_span_t *spans = malloc((size_t)count * sizeof *spans);
    for (int32_t i = 0; i < count; ++i) {
        spans[i].first = (uint16_t)read_number();
        spans[i].start = (uint16_t)read_number();
        spans[i].end = (uint16_t)read_number();
    }
    return spans;
}

/* The new part of a map, from the whole of it. */
static void write_part(const qmcu_patch_t *patch, int32_t map, const int8_t *whole)
{
    const qmcu_map_t *m = patch->segment->maps + map;
    const qmcu_part_t part = qmcu_part(patch, map, map);
    for (int32_t y = part.region.top; y < part.region.bottom; ++y) {
        for (int32_t x = part.region.left; x < part.region.right; ++x) {
            memcpy(qmcu_target_pixel(&part.out, y, x), whole + (y * m->width + x) * m->channels, m->channels);
        }
    }
}

/* What the patch holds of a map, to stdout. */
static void write_held(const qmcu_patch_t *patch, int32_t map)
{
    const qmcu_map_t *m = patch->segment->maps + map;
    const qmcu_span_t *rows = patch->segment->rows + patch->row * patch->segment->map_count + map;
    const qmcu_span_t *columns = patch->segment->columns + patch->column * patch->segment->map_count + map;
    const qmcu_source_t source = qmcu_source(patch, map);
    for (int32_t y = rows->first; y < rows->end; ++y) {
        for (int32_t x = columns->first; x < columns->end; ++x) {
            fwrite(qmcu_source_pixel(&source, y, x), 1, m->channels, stdout);
        }
    }
}

/* Arena bytes, number of maps, steps of rows, steps of columns, whether columns are kept; per map: tile, kept,
 * tile_rows, tile_columns, width, channels, kept_rows; spans of rows, of columns; per map: bytes, the whole map. Writes
 * what every patch holds of every map once its new part is there, and at last the arena. */
static void run_patches(void)
{
    qmcu_segment_t segment;
    qmcu_map_t maps[MOST_SOURCES];
    int8_t *whole[MOST_SOURCES];
    const int32_t bytes = read_number();
    int8_t *arena = malloc((size_t)bytes);
    memset(arena, 0x5A, (size_t)bytes);
    segment.map_count = (uint16_t)read_number();
    segment.row_steps = (uint16_t)read_number();
    segment.column_steps = (uint16_t)read_number();
    segment.keeps_columns = (uint8_t)read_number();
    for (int32_t i = 0; i < segment.map_count; ++i) {
        maps[i].tile = (uint32_t)read_number();
        maps[i].kept = (uint32_t)read_number();
        maps[i].tile_rows = (uint16_t)read_number();
        maps[i].tile_columns = (uint16_t)read_number();
        maps[i].width = (uint16_t)read_number();
        maps[i].channels = (uint16_t)read_number();
        maps[i].pixel_bytes = maps[i].channels;
        maps[i].kept_rows = (uint16_t)read_number();
    }
    segment.maps = maps;
    qmcu_span_t *rows = read_spans(segment.row_steps * segment.map_count);
    qmcu_span_t *columns = read_spans(segment.column_steps * segment.map_count);
    segment.rows = rows;
    segment.columns = columns;
    for (int32_t i = 0; i < segment.map_count; ++i) {
        whole[i] = read_block(read_number());
    }
    for (int32_t row = 0; row < segment.row_steps; ++row) {
        for (int32_t column = 0; column < segment.column_steps; ++column) {
            const qmcu_patch_t patch = {&segment, arena, row, column};
            for (int32_t map = 0; map < segment.map_count; ++map) {
                qmcu_enter(&patch, map);
                write_part(&patch, map, whole[map]);
                write_held(&patch, map);
            }
            for (int32_t map = 0; map < segment.map_count; ++map) {
                qmcu_leave(&patch, map);
            }
        }
    }
    fwrite(arena, 1, (size_t)bytes, stdout);
    for (int32_t i = 0; i < segment.map_count; ++i) {
        free(whole[i]);
    }
    free(columns);
    free(rows);
    free(arena);
}

int main(int argc, char **argv)
{
    const case_t *test = argc > 2 ? &cases[atoi(argv[2])] : NULL;
    if (test == NULL) {
        run_patches();
    } else if (strcmp(argv[1], "part") == 0) {
        run_parts(test);
    } else {
        run_sum(test);
    }
    return 0;
}
