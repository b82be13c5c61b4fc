/* conv_pairs.c: windows of two pixels, widened to 16-bit lanes, times all groups of four channels.
 *
 * Pointwise: per pair of pixels, widen both. Else a strip of the output is computed row by row from a buffer of
 * columns: of each column of the input, kernel.h pixels below one another. A window is then kernel.w columns, which
 * follow one another in memory. From row to row the buffer moves on by the pixels that leave the windows, and only new
 * rows are written. Where channels are a multiple of four, columns are held widened, each beside the one a stride
 * further, so that the buffer holds the windows of all pairs; else they are bytes, and windows of pairs are widened.
 *
 * Work: per strip and new row of it: widen (or copy) in.c values for each column; per pair of pixels: (widen two
 * windows,) per group a step per word of the window, and requantization of eight values. */
#include "conv_pairs.h"

#include <string.h>

#include "../primitives/bytes.h"
#include "../primitives/held.h"
#include "../primitives/runs.h"

typedef struct {
    const qmcu_conv_pairs_t *layer;
    const qmcu_source_t *in;
    qmcu_tiles_t tiles;
    uint32_t sums[QMCU_SUMS];
    qmcu_held_t held;
    int32_t nest, in_bits;
    uint32_t *columns; /* of a pair; or all of the widened buffer, whose sums are in pixel_sums */
    uint32_t *pixel_sums;
    int8_t *buffer, *row; /* columns as bytes; a row of the strip */
    int8_t *window_a, *window_b;
} work_t;

/* Unpacked values of pixels that adjoin. */
static void fetch(const work_t *work, const int8_t *from, int32_t values, int8_t *to)
{
    if (work->in_bits == 8) {
        qmcu_copy_bytes(from, values, to);
    } else {
        qmcu_fetch(from, work->in_bits, (size_t)values, to);
    }
}

static int32_t limited(int32_t x, int32_t most)
{
    return x < 0 ? 0 : x < most ? x : most;
}

static inline void widen(const work_t *work, const int8_t *a, const int8_t *b, const qmcu_runs_t *runs,
                         uint32_t *columns, uint32_t *sums)
{
    if (work->nest == 4) {
        qmcu_widen_pair_summed(a, b, runs, columns, sums);
    } else {
        qmcu_widen_pair(a, b, runs, columns);
    }
}

static inline void multiply_tiles(const work_t *work, const uint32_t *columns, int8_t *a, int8_t *b)
{
    if (work->nest == 4) {
        qmcu_tiles_s4(columns, &work->tiles, a, b);
    } else if (work->tiles.lanes == NULL) {
        qmcu_tiles_line(columns, &work->tiles, a, b, 1);
    } else {
        qmcu_tiles_s8(columns, &work->tiles, a, b);
    }
}

/* Multiplies the columns of a pair of pixels; b is NULL for one pixel. */
static void multiply(const work_t *work, const uint32_t *columns, int8_t *a, int8_t *b)
{
    if (work->held.is_direct) {
        multiply_tiles(work, columns, a, b != NULL ? b : work->held.second);
    } else {
        multiply_tiles(work, columns, work->held.values, work->held.second);
        qmcu_store_two(&work->held, a, b);
    }
}

/* Two windows of adjoining bytes. */
static void multiply_windows(work_t *work, const int8_t *a, const int8_t *b, int32_t values, int8_t *out_a,
                             int8_t *out_b)
{
    const qmcu_runs_t run = {values, 1, 0, 0, 0, 0};
    widen(work, a, b, &run, work->columns, work->sums);
    multiply(work, work->columns, out_a, out_b);
}

/* Two pixels of the input; b is NULL for one pixel. */
static void multiply_pixels(work_t *work, const int8_t *a, const int8_t *b, int8_t *out_a, int8_t *out_b)
{
    const int32_t channels = work->layer->in.c;
    if (work->in_bits < 8) {
        fetch(work, a, channels, work->window_a);
        fetch(work, b, channels, work->window_b);
        a = work->window_a;
        b = work->window_b;
    }
    multiply_windows(work, a, b, channels, out_a, out_b);
}

/* The whole pairs of `pixels` pixels beside one another, by lines; returns how many pixels that were. */
static int32_t multiply_lines(const work_t *work, const int8_t *in, int32_t step, int32_t pixels, int8_t *out)
{
    const int32_t channels = work->layer->in.c, most = work->layer->moves, skip = 2 * step - channels;
    qmcu_runs_t runs = {channels, most, skip, skip, 0, 0};
    for (int32_t left = pixels >> 1; left > 0; left -= most, in += 2 * most * step) {
        int8_t *to = qmcu_held_room(&work->held, out);
        runs.rows = left < most ? left : most;
        qmcu_widen_pair(in, in + step, &runs, work->columns);
        qmcu_tiles_line(work->columns, &work->tiles, to, to + work->held.step, runs.rows);
        qmcu_keep(&work->held, 2 * runs.rows, out);
        out += 2 * runs.rows * work->held.out_step;
    }
    return pixels & ~1;
}

/* Whether the rows of all pixels are one run, in both maps. */
static int rows_adjoin(const qmcu_conv_pairs_t *layer, const qmcu_part_t *part)
{
    const qmcu_region_t region = part->region;
    const int32_t width = region.right - region.left;
    return layer->stride.h == 1 && layer->stride.w == 1 && part->in.row_bytes == width * part->in.pixel_bytes &&
           part->out.row_bytes == width * part->out.pixel_bytes && region.bottom - part->in.top <= part->in.rows &&
           region.bottom - part->out.top <= part->out.rows;
}

/* All pixels one after another, two at a time. */
static void compute_pixels(work_t *work, const qmcu_part_t *part)
{
    const qmcu_size_t stride = work->layer->stride;
    const int32_t step = stride.w * part->in.pixel_bytes, out_step = part->out.pixel_bytes, to_step = work->held.step;
    const qmcu_runs_t run = {work->layer->in.c, 1, 0, 0, 0, 0};
    const int is_line = work->in_bits == 8 && work->tiles.lanes == NULL;
    const int8_t *waiting = NULL;
    int8_t *waiting_out = NULL;
    const int32_t width = part->region.right - part->region.left, is_run = rows_adjoin(work->layer, part);
    for (int32_t oy = part->region.top; oy < part->region.bottom; oy = is_run ? part->region.bottom : oy + 1) {
        const int8_t *in = qmcu_source_pixel(&part->in, oy * stride.h, part->region.left * stride.w);
        int8_t *out = qmcu_target_pixel(&part->out, oy, part->region.left);
        int32_t left = is_run ? width * (part->region.bottom - oy) : width;
        if (waiting != NULL && left > 0) {
            multiply_pixels(work, waiting, in, waiting_out, out);
            waiting = NULL;
            in += step, out += out_step, --left;
        }
        const int32_t done = is_line ? multiply_lines(work, in, step, left, out) : 0;
        left -= done, in += done * step, out += done * out_step;
        while (left >= 2 && work->in_bits == 8) {
            const int32_t pairs = qmcu_held_pairs(&work->held, left, QMCU_HELD_PAIRS);
            int8_t *to = qmcu_held_room(&work->held, out);
            for (int32_t i = 0; i < pairs; ++i, in += 2 * step, to += 2 * to_step) {
                widen(work, in, in + step, &run, work->columns, work->sums);
                multiply_tiles(work, work->columns, to, to + to_step);
            }
            qmcu_keep(&work->held, 2 * pairs, out);
            left -= 2 * pairs, out += 2 * pairs * out_step;
        }
        for (; left >= 2; left -= 2, in += 2 * step, out += 2 * out_step) {
            multiply_pixels(work, in, in + step, out, out + out_step);
        }
        if (left == 1) {
            waiting = in;
            waiting_out = out;
        }
    }
    if (waiting != NULL) {
        multiply_pixels(work, waiting, waiting, waiting_out, NULL);
    }
}

/* A strip of the output: where its windows' columns lie in the input, and how they are held. */
typedef struct {
    int32_t first, last, count; /* columns that windows reach, and how many are held; what is no pixel is padding */
    int32_t height;             /* values of a column */
} strip_t;

/* Row y of the strip's columns, unpacked, in work->row or where it lies. */
static const int8_t *row_of(const work_t *work, const strip_t *strip, int32_t y)
{
    const qmcu_conv_pairs_t *layer = work->layer;
    const qmcu_source_t *in = work->in;
    const int32_t channels = layer->in.c, end = strip->last + 1 < layer->in.w ? strip->last + 1 : layer->in.w;
    const int adjoin = in->pixel_bytes * 8 == channels * work->in_bits;
    const int32_t before = limited(-strip->first, strip->count), from = strip->first + before;
    if (y < 0 || y >= layer->in.h || from >= end) {
        memset(work->row, layer->in_zero, (size_t)(strip->count * channels));
        return work->row;
    }
    const int8_t *pixel = qmcu_source_pixel(in, y, from);
    const int32_t inside = end - from < strip->count - before ? end - from : strip->count - before;
    if (adjoin && work->in_bits == 8 && inside == strip->count) {
        return pixel;
    }
    int8_t *to = work->row + before * channels;
    memset(work->row, layer->in_zero, (size_t)(before * channels));
    if (adjoin) {
        fetch(work, pixel, inside * channels, to);
        to += inside * channels;
    } else {
        for (int32_t x = 0; x < inside; ++x, pixel += in->pixel_bytes, to += channels) {
            fetch(work, pixel, channels, to);
        }
    }
    memset(to, layer->in_zero, (size_t)((strip->count - before - inside) * channels));
    return work->row;
}

static int is_widened(const qmcu_conv_pairs_t *layer)
{
    return (layer->in.c & 3) == 0 && layer->dilation.w == 1;
}

/* Writes a row into all columns, as their pixels `tap`, `at` values after the start of the buffer. */
static void write_row(work_t *work, const strip_t *strip, int32_t y, int32_t tap, int32_t at)
{
    const qmcu_conv_pairs_t *layer = work->layer;
    const int32_t channels = layer->in.c, stride = layer->stride.w, height = layer->kernel.h;
    const int8_t *row = row_of(work, strip, y);
    at += tap * channels;
    if (is_widened(layer)) {
        const qmcu_runs_t runs = {channels, strip->count - stride, 0, 0, 4 * (strip->height - channels), 8 * height};
        uint32_t *sums = work->nest == 4 ? work->pixel_sums + 2 * (at / channels) : NULL;
        widen(work, row, row + stride * channels, &runs, work->columns + at, sums);
        return;
    }
    qmcu_scatter_pixels(row, channels, strip->count, work->buffer + at, strip->height);
}

/* The columns that begin `at` values after the start of the buffer become its first ones, but for the last `fresh`
 * values: these lie behind the buffer, and are written anew. */
static void move_back(work_t *work, const strip_t *strip, int32_t at, int32_t fresh)
{
    const int32_t channels = work->layer->in.c;
    if (!is_widened(work->layer)) {
        qmcu_copy_bytes(work->buffer + at, strip->count * strip->height - fresh, work->buffer);
        return;
    }
    const int32_t values = (strip->count - work->layer->stride.w) * strip->height - fresh;
    memmove(work->columns, work->columns + at, sizeof(uint32_t) * (size_t)values);
    if (work->nest == 4) {
        memmove(work->pixel_sums, work->pixel_sums + 2 * (at / channels),
                sizeof(uint32_t) * (size_t)(2 * (values / channels)));
    }
}

/* The sums of the two windows whose pixels' sums these are. */
static void add_sums(work_t *work, const uint32_t *sums)
{
    const uint32_t *end = sums + 2 * work->layer->kernel.h * work->layer->kernel.w;
    uint32_t a = 0, b = 0;
    for (; sums < end; sums += 2) {
        a += sums[0];
        b += sums[1];
    }
    work->sums[0] = a;
    work->sums[1] = b;
}

/* The pairs of a row whose windows lie in the widened buffer. */
static void multiply_row(work_t *work, const strip_t *strip, int32_t at, int32_t pixels, int8_t *out)
{
    const qmcu_conv_pairs_t *layer = work->layer;
    const int32_t step = 2 * layer->stride.w * strip->height, to_step = work->held.step;
    const uint32_t *columns = work->columns + at;
    const uint32_t *sums = work->nest == 4 ? work->pixel_sums + 2 * (at / layer->in.c) : NULL;
    while (pixels > 0) {
        const int32_t whole = 2 * qmcu_held_pairs(&work->held, pixels, QMCU_HELD_PAIRS), count = whole > 0 ? whole : 1;
        int8_t *to = qmcu_held_room(&work->held, out);
        for (int32_t left = count; left > 0; left -= 2, columns += step, to += 2 * to_step) {
            if (work->nest == 4) {
                add_sums(work, sums);
                sums += 4 * layer->stride.w * layer->kernel.h;
            }
            multiply_tiles(work, columns, to, left > 1 ? to + to_step : work->held.second);
        }
        qmcu_keep(&work->held, count, out);
        pixels -= count, out += count * work->held.out_step;
    }
}

/* Window `index` of the row, of adjoining bytes: where it lies, or in `window`. */
static const int8_t *window_at(const work_t *work, const strip_t *strip, int32_t at, int32_t index, int8_t *window)
{
    const qmcu_conv_pairs_t *layer = work->layer;
    const int8_t *column = work->buffer + at + index * layer->stride.w * strip->height;
    if (layer->dilation.w == 1) {
        return column;
    }
    int8_t *to = window;
    for (int32_t tap = 0; tap < layer->kernel.w; ++tap, column += layer->dilation.w * strip->height) {
        to = qmcu_copy_bytes(column, strip->height, to);
    }
    return window;
}

/* The pixels of a strip whose columns are bytes; one that is left over in a row waits for the next row, its window kept
 * in work->window_a. */
static void multiply_bytes(work_t *work, const strip_t *strip, int32_t at, int32_t pixels, int8_t *out,
                           int8_t **waiting)
{
    const int32_t values = strip->height * work->layer->kernel.w, out_step = work->held.out_step;
    int32_t index = 0;
    if (*waiting != NULL) {
        const int8_t *b = window_at(work, strip, at, 0, work->window_b);
        multiply_windows(work, work->window_a, b, values, *waiting, out);
        *waiting = NULL;
        index = 1;
    }
    if (work->held.is_direct && work->layer->dilation.w == 1) {
        const int32_t step = work->layer->stride.w * strip->height;
        const qmcu_runs_t run = {values, 1, 0, 0, 0, 0};
        const int8_t *a = work->buffer + at + index * step;
        int8_t *to = out + index * out_step;
        for (; index + 2 <= pixels; index += 2, a += 2 * step, to += 2 * out_step) {
            widen(work, a, a + step, &run, work->columns, work->sums);
            multiply_tiles(work, work->columns, to, to + out_step);
        }
    }
    for (; index + 2 <= pixels; index += 2) {
        const int8_t *a = window_at(work, strip, at, index, work->window_a);
        const int8_t *b = window_at(work, strip, at, index + 1, work->window_b);
        multiply_windows(work, a, b, values, out + index * out_step, out + (index + 1) * out_step);
    }
    if (index < pixels) {
        const int8_t *a = window_at(work, strip, at, index, work->window_a);
        if (a != work->window_a) {
            qmcu_copy_bytes(a, values, work->window_a);
        }
        *waiting = out + index * out_step;
    }
}

/* Columns [left, right) of the part's region. */
static void compute_strip(work_t *work, const qmcu_part_t *part, int32_t left, int32_t right)
{
    const qmcu_conv_pairs_t *layer = work->layer;
    const int32_t stride = layer->stride.w, pixels = right - left, span = (layer->kernel.w - 1) * layer->dilation.w + 1;
    const int32_t kernel = layer->kernel.h, dilation = layer->dilation.h;
    const int32_t moved = layer->stride.h % dilation == 0 ? layer->stride.h / dilation : kernel;
    const int32_t fresh = moved < kernel ? moved : kernel; /* rows of a window that the one above does not have */
    strip_t strip;
    strip.first = left * stride - layer->pad.left;
    strip.last = strip.first + (pixels - 1) * stride + span - 1;
    strip.count = (((pixels + 1) & ~1) - 1) * stride + span;
    strip.height = kernel * layer->in.c;
    int32_t at = 0, moves = 0;
    int8_t *waiting = NULL;
    for (int32_t oy = part->region.top; oy < part->region.bottom; ++oy) {
        const int is_first = oy == part->region.top;
        int8_t *out = qmcu_target_pixel(&part->out, oy, left);
        if (!is_first && fresh < kernel) {
            at += fresh * layer->in.c;
            if (++moves > layer->moves) {
                move_back(work, &strip, at, fresh * layer->in.c);
                at = moves = 0;
            }
        }
        for (int32_t tap = is_first ? 0 : kernel - fresh; tap < kernel; ++tap) {
            write_row(work, &strip, oy * layer->stride.h - layer->pad.top + tap * dilation, tap, at);
        }
        if (is_widened(layer)) {
            multiply_row(work, &strip, at, pixels, out);
        } else {
            multiply_bytes(work, &strip, at, pixels, out, &waiting);
        }
    }
    if (waiting != NULL) {
        multiply_windows(work, work->window_a, work->window_a, strip.height * layer->kernel.w, waiting, NULL);
    }
}

/* Divides the scratch memory, sizes as in conv_pairs.py; returns its last piece, of outputs. */
static int8_t *lay_out(work_t *work, int8_t *scratch)
{
    const qmcu_conv_pairs_t *layer = work->layer;
    const int32_t channels = layer->in.c, height = layer->kernel.h * channels, values = layer->kernel.w * height;
    const int32_t span = (layer->kernel.w - 1) * layer->dilation.w + 1;
    const int32_t count = layer->strip > 0 ? (2 * layer->strip - 1) * layer->stride.w + span : 0;
    const int32_t words = work->tiles.words, more = layer->moves * channels * layer->stride.h / layer->dilation.h;
    work->columns = (uint32_t *)(void *)scratch;
    if (layer->strip > 0 && is_widened(layer)) {
        const int32_t held = (count - layer->stride.w) * height + more;
        work->pixel_sums = work->columns + held;
        work->row = (int8_t *)(work->pixel_sums + (layer->nest == 4 ? 2 * (held / channels) : 0));
        return work->row + count * channels;
    }
    work->window_a = (int8_t *)(work->columns + 2 * words * (layer->strip > 0 ? 1 : layer->moves));
    work->window_b = work->window_a + values;
    work->row = work->window_b + values;
    work->buffer = work->row + count * channels;
    return work->buffer + (layer->strip > 0 ? count * height + more : 0);
}

void qmcu_conv_pairs_part(const qmcu_conv_pairs_t *layer, const qmcu_part_t *part, int8_t *scratch)
{
    const qmcu_region_t region = part->region;
    const int32_t values = layer->kernel.h * layer->kernel.w * layer->in.c;
    work_t work;
    work.layer = layer;
    work.in = &part->in;
    work.nest = layer->nest;
    work.in_bits = QMCU_PACKED ? layer->in.bits : 8;
    work.tiles = (qmcu_tiles_t){layer->weights,         layer->lanes,        qmcu_run_words(values),
                                (layer->out.c + 3) >> 2, layer->is_rectified, work.sums};
    work.held = qmcu_held(layer->out, layer->low, layer->high, part->out.pixel_bytes, lay_out(&work, scratch));
    if (layer->strip == 0) {
        compute_pixels(&work, part);
        return;
    }
    for (int32_t left = region.left; left < region.right; left += 2 * layer->strip) {
        const int32_t end = left + 2 * layer->strip;
        compute_strip(&work, part, left, end < region.right ? end : region.right);
    }
}

void qmcu_conv_pairs(const qmcu_conv_pairs_t *layer, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const qmcu_part_t part = qmcu_whole(layer->in, in, layer->out, out);
    qmcu_conv_pairs_part(layer, &part, scratch);
}
