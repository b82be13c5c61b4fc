/* conv_first.c: windows of two pixels, three runs of nine values each, widened where they lie in the input, times all
 * groups of four channels. Windows that reach into the padding, and packed ones, are copied first.
 *
 * Per pair of pixels: widen two windows; per group 14 steps and requantization of eight values. Pairs go on from row to
 * row. Outputs that are not what the map holds are clamped and packed for several pairs at a time. */
#include "conv_first.h"

#include "../primitives/held.h"
#include "../primitives/runs.h"

#define ROWS 3
#define CHANNELS 3
#define RUN 9
#define WORDS 14 /* of a column */
#define PAIRS 8  /* whose outputs are held at a time; and their columns where outputs are lines */

typedef struct {
    const qmcu_conv_first_t *layer;
    const qmcu_source_t *in;
    qmcu_tiles_t tiles;
    qmcu_held_t held;
    int32_t in_bits;
    uint32_t *columns;
    int8_t *window_a, *window_b;
} work_t;

/* A pixel of the output: where its window begins in the input, and where it goes. */
typedef struct {
    int32_t y, x;
    int8_t *out;
} pixel_t;

/* `columns` columns of three rows of the input from a pixel on, with what lies around the image. */
static void gather(const work_t *work, const pixel_t *pixel, int32_t columns, int8_t *to)
{
    const int32_t height = work->layer->in.h, width = work->layer->in.w, step = work->in->pixel_bytes;
    const int32_t first = pixel->x, end = first + columns, bits = work->in_bits;
    const int8_t zero = work->layer->in_zero, padding[CHANNELS] = {zero, zero, zero};
    for (int32_t y = pixel->y, last = y + ROWS; y < last; ++y) {
        const int is_there = y >= 0 && y < height;
        const int8_t *next = is_there ? qmcu_source_row(work->in, y) + (first - work->in->left) * step : padding;
        for (int32_t x = first; x < end; ++x, to += CHANNELS, next += is_there ? step : 0) {
            const int8_t *from = x >= 0 && x < width ? next : padding;
            if (bits < 8 && from != padding) {
                qmcu_fetch(from, bits, CHANNELS, to);
                continue;
            }
            to[0] = from[0];
            to[1] = from[1];
            to[2] = from[2];
        }
    }
}

static inline void multiply_tiles(const work_t *work, int8_t *a, int8_t *b)
{
    if (work->tiles.lanes == NULL) {
        qmcu_tiles_line(work->columns, &work->tiles, a, b, 1);
    } else {
        qmcu_tiles_s8(work->columns, &work->tiles, a, b);
    }
}

static void multiply(const work_t *work, int8_t *a, int8_t *b)
{
    if (work->held.is_direct) {
        multiply_tiles(work, a, b);
    } else {
        multiply_tiles(work, work->held.values, work->held.second);
        qmcu_store_two(&work->held, a, b);
    }
}

/* Two pixels anywhere; they may be one. */
static void compute(const work_t *work, const pixel_t *a, const pixel_t *b)
{
    const int32_t between = b->x - a->x;
    if (a->y == b->y && between > 0 && between <= ROWS) { /* windows that adjoin */
        gather(work, a, ROWS + between, work->window_a);
        const int8_t *window = work->window_a + between * CHANNELS;
        qmcu_widen_nines(work->window_a, window, (ROWS + between) * CHANNELS, work->columns, 1, 0);
    } else {
        gather(work, a, ROWS, work->window_a);
        gather(work, b, ROWS, work->window_b);
        qmcu_widen_nines(work->window_a, work->window_b, RUN, work->columns, 1, 0);
    }
    multiply(work, a->out, b->out);
}

/* The row of the input in which windows begin, if they lie there as they are, else NULL. */
static const int8_t *row_of(const work_t *work, int32_t y)
{
    const int32_t place = y - work->in->top;
    const int lies_together = place >= work->in->rows || place + ROWS <= work->in->rows; /* in a ring */
    const int is_inside = y >= 0 && y + ROWS <= work->layer->in.h;
    const int adjoins = work->in_bits == 8 && work->in->pixel_bytes == CHANNELS;
    return is_inside && lies_together && adjoins ? qmcu_source_row(work->in, y) : NULL;
}

/* Few pairs of windows beside one another, `step` bytes apart, by lanes. */
static void multiply_lanes(const work_t *work, const int8_t *window, int32_t step, int32_t pairs, int8_t *to)
{
    const int32_t to_step = work->held.step;
    for (; pairs > 0; --pairs, window += 2 * step, to += 2 * to_step) {
        qmcu_widen_nines(window, window + step, work->in->row_bytes, work->columns, 1, 0);
        qmcu_tiles_s8(work->columns, &work->tiles, to, to + to_step);
    }
}

/* Any number of them. */
static void multiply_row(const work_t *work, const int8_t *window, int32_t step, int32_t pairs, int8_t *out)
{
    const int32_t out_step = work->held.out_step, to_step = work->held.step, pair = 2 * step;
    for (; pairs > 0; pairs -= PAIRS, window += PAIRS * pair, out += 2 * PAIRS * out_step) {
        const int32_t count = pairs < PAIRS ? pairs : PAIRS;
        int8_t *to = qmcu_held_room(&work->held, out);
        if (work->tiles.lanes == NULL) {
            qmcu_widen_nines(window, window + step, work->in->row_bytes, work->columns, count, pair);
            qmcu_tiles_line(work->columns, &work->tiles, to, to + to_step, count);
        } else {
            multiply_lanes(work, window, step, count, to);
        }
        qmcu_keep(&work->held, 2 * count, out);
    }
}

/* Computes the first pairs of `left` pixels whose windows lie in `row`; returns how many pixels that were. */
static int32_t compute_inside(const work_t *work, const int8_t *row, const pixel_t *pixel, int32_t left)
{
    const int32_t stride = work->layer->stride.w, last = work->layer->in.w - ROWS;
    if (row == NULL || pixel->x < 0 || pixel->x > last) {
        return 0;
    }
    const int32_t inside = (last - pixel->x) / stride + 1, pairs = (inside < left ? inside : left) >> 1;
    multiply_row(work, row + (pixel->x - work->in->left) * CHANNELS, stride * CHANNELS, pairs, pixel->out);
    return 2 * pairs;
}

void qmcu_conv_first_part(const qmcu_conv_first_t *layer, const qmcu_part_t *part, int8_t *scratch)
{
    const qmcu_region_t region = part->region;
    const int32_t groups = (layer->out.c + 3) >> 2, out_step = part->out.pixel_bytes;
    work_t work;
    work.layer = layer;
    work.in = &part->in;
    work.in_bits = QMCU_PACKED ? layer->in.bits : 8;
    work.tiles = (qmcu_tiles_t){layer->weights, layer->lanes, WORDS, groups, layer->is_rectified, NULL};
    work.columns = (uint32_t *)(void *)scratch;
    work.window_a = (int8_t *)(work.columns + 2 * WORDS * (layer->lanes == NULL ? PAIRS : 1));
    work.window_b = work.window_a + ROWS * RUN;
    work.held = qmcu_held(layer->out, layer->low, layer->high, out_step, work.window_b + ROWS * RUN);
    pixel_t first = {0, 0, NULL}, pixel;
    int is_second = 0;
    for (int32_t oy = region.top; oy < region.bottom; ++oy) {
        int32_t left = region.right - region.left;
        pixel.y = oy * layer->stride.h - layer->pad.top;
        pixel.x = region.left * layer->stride.w - layer->pad.left;
        pixel.out = qmcu_target_pixel(&part->out, oy, region.left);
        const int8_t *row = row_of(&work, pixel.y);
        while (left > 0) {
            int32_t done = is_second ? 0 : compute_inside(&work, row, &pixel, left);
            if (done == 0) {
                if (is_second) {
                    compute(&work, &first, &pixel);
                } else {
                    first = pixel;
                }
                is_second = !is_second;
                done = 1;
            }
            left -= done;
            pixel.x += done * layer->stride.w;
            pixel.out += done * out_step;
        }
    }
    if (is_second) {
        compute(&work, &first, &first);
    }
}

void qmcu_conv_first(const qmcu_conv_first_t *layer, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const qmcu_part_t part = qmcu_whole(layer->in, in, layer->out, out);
    qmcu_conv_first_part(layer, &part, scratch);
}
