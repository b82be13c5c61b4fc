/* conv_outer.c: a tile of 4, 6 or 8 output pixels at a time. The pixels of its windows become words, row by row,
 * which are multiplied with every group of four output channels.
 *
 * A 1x1 kernel takes the output's pixels one after the other, from row to row. Others go down columns of tiles:
 * what was prepared of a row of the input stays for the next row of the output, which lies lower in the same words.
 * Per tile and new row of the window, eight channels of a pixel group are prepared kernel.w times; per tile and
 * group of channels, all words of the window are multiplied. */
#include "conv_outer.h"

#include <string.h>

#include "../primitives/outer_outputs.h"
#include "../primitives/outer_pixels.h"

#define MOST_PIXELS QMCU_OUTER_MOST_PIXELS
#define UNIT_WORDS QMCU_OUTER_UNIT_WORDS

/* What does not change from tile to tile, and where the tile's pixels lie. */
typedef struct state_s {
    void (*run_tile)(struct state_s *s, const uint32_t *words, const uint32_t *sums);
    const qmcu_conv_outer_t *layer;
    const qmcu_part_t *part;
    qmcu_outer_tile_t tile;
    qmcu_outer_pixels_t how; /* pixels become words */
    uint64_t start;          /* D in the fields of one channel */
    int32_t row_words;       /* of a row of the window */
    int32_t slots;        /* chunks of a row of the window */
    uint32_t *words;      /* [rows][row_words] */
    uint32_t *sums;       /* of the words of each chunk: [rows][slots][2] */
    int32_t *totals;      /* of fields over pieces: [4 * groups][pixels of the tile] */
    int8_t *padding;      /* a pixel of zero-points */
    int8_t *room;         /* for the tile's outputs, where they do not lie behind one another */
    int8_t *out[MOST_PIXELS];
    int32_t count;       /* pixels of the tile that are wanted */
    int32_t dense_bytes; /* between the first and the last pixel of a tile that is written where it belongs */
    int32_t are_bytes;   /* what lies in `room` are bytes */
    int32_t room_bytes;  /* from one pixel to the next in `room` */
} state_t;

/* Row y of windows of three columns, the first of which begins in column x: four columns of words, each of pixels
 * that lie two columns apart. Pixels from column `end` on are not wanted. */
static void prepare_columns(const state_t *s, int32_t y, int32_t x, int32_t end, uint32_t *words, uint32_t *sums)
{
    const qmcu_conv_outer_t *layer = s->layer;
    const qmcu_source_t *in = &s->part->in;
    const int is_inside = y >= 0 && y < layer->in.h;
    const int8_t *from = is_inside ? qmcu_source_row(in, y) : NULL;
    const int32_t last = end < layer->in.w ? end : layer->in.w;
    const int8_t *columns[2][MOST_PIXELS / 2 + 1]; /* even and odd ones */
    uint32_t sum[4];
    if (is_inside && x >= 0 && x + 2 * s->how.pixels + 2 <= last) {
        const int32_t step = in->pixel_bytes;
        from += (x - in->left) * step;
        for (int32_t i = 0; i <= s->how.pixels; ++i, from += 2 * step) {
            columns[0][i] = from;
            columns[1][i] = from + step;
        }
    } else {
        for (int32_t i = 0; i < 2 * s->how.pixels + 2; ++i, ++x) {
            const int is_there = is_inside && x >= 0 && x < last;
            columns[i % 2][i / 2] = is_there ? from + (x - in->left) * in->pixel_bytes : s->padding;
        }
    }
    for (int32_t i = 0; i < 4; ++i, words += QMCU_OUTER_UNIT) {
        const int8_t *const *pixels = columns[i % 2] + i / 2;
        sum[i] = s->how.rest == 0 ? s->how.words_of(pixels, s->how.units, words, 4 * QMCU_OUTER_UNIT)
                              : qmcu_outer_group(&s->how, pixels, 0, s->how.units, words);
    }
    sums[0] = sum[0] + sum[1] + sum[2];
    sums[1] = sum[1] + sum[2] + sum[3];
}

/* Row y of the windows that begin in columns x of the input. is_run: their rows lie within the map, without gaps. */
static void prepare_row(const state_t *s, int32_t y, const int32_t *x, int is_run, uint32_t *words, uint32_t *sums)
{
    const qmcu_conv_outer_t *layer = s->layer;
    const qmcu_source_t *in = &s->part->in;
    const int8_t *row = y >= 0 && y < layer->in.h ? qmcu_source_row(in, y) : NULL;
    const int8_t *from[MOST_PIXELS];
    if (row != NULL && is_run) {
        for (int32_t i = 0; i < 2 * s->how.pixels; ++i) {
            from[i] = row + (x[i] - in->left) * in->pixel_bytes;
        }
        const int32_t units = layer->kernel.w * s->how.units;
        sums[0] = s->how.words_of(from, units, words, UNIT_WORDS);
        sums[1] = s->how.words_of(from + s->how.pixels, units, words + QMCU_OUTER_UNIT, UNIT_WORDS);
        return;
    }
    for (int32_t i = 0; i < 2 * s->slots; ++i) {
        sums[i] = 0;
    }
    for (int32_t kx = 0; kx < layer->kernel.w; ++kx) {
        for (int32_t i = 0; i < 2 * s->how.pixels; ++i) {
            const int32_t column = x[i] + kx * layer->dilation.w;
            const int is_inside = row != NULL && column >= 0 && column < layer->in.w;
            from[i] = is_inside ? row + (column - in->left) * in->pixel_bytes : s->padding;
        }
        qmcu_outer_tile_pixel(&s->how, from, words, sums);
        words += UNIT_WORDS * s->how.units;
        sums += s->slots > 1 ? 2 * (s->slots / layer->kernel.w) : 0;
    }
}

/* Multiplies the tile's units. */
static inline void multiply(const state_t *s, qmcu_outer_tile_t *tile, int32_t pixels, const uint32_t *sum)
{
    tile->start[0] = qmcu_outer_start(s->start, pixels, sum[0]);
    tile->start[1] = qmcu_outer_start(s->start, pixels, sum[1]);
    if (pixels == 2) {
        qmcu_outer_tile_i4(tile);
    } else if (pixels == 3) {
        qmcu_outer_tile_i2(tile);
    } else {
        qmcu_outer_tile_i2x4(tile);
    }
}

/* Piece by piece. */
static void run_pieces(state_t *s, const uint32_t *words, const uint32_t *sums)
{
    const qmcu_conv_outer_t *layer = s->layer;
    const int32_t slots = layer->kernel.h * s->slots;
    const int32_t parts = s->slots > 1 ? s->slots / layer->kernel.w : 1; /* chunks of a pixel */
    s->tile.words = words;
    s->tile.weights = layer->weights;
    for (int32_t slot = 0; slot < slots;) {
        uint32_t sum[2] = {0, 0};
        const int is_first = slot == 0;
        s->tile.units = 0;
        for (int32_t end = slot + layer->chunks; slot < slots && slot < end; ++slot) {
            const int32_t left = s->how.units - slot % parts * layer->chunk;
            const int32_t units = s->slots > 1 && left < layer->chunk ? left : layer->chunk;
            sum[0] += sums[2 * slot];
            sum[1] += sums[2 * slot + 1];
            s->tile.units += units;
        }
        s->tile.entry = (3 - s->tile.units % 3) % 3;
        multiply(s, &s->tile, s->how.pixels, sum);
        qmcu_outer_sums(s->tile.fields, s->how.pixels, s->tile.groups, is_first, s->totals);
        s->tile.words += UNIT_WORDS * s->tile.units;
        s->tile.weights += s->tile.groups * s->tile.units * layer->weight_bits;
    }
    if (layer->constants == NULL) {
        qmcu_outer_requantize(s->totals, 2 * s->how.pixels, &layer->requant, layer->out, s->out, s->count);
        return;
    }
    qmcu_outer_bytes(s->totals, layer->constants, 4 * s->tile.groups, s->how.pixels, s->room, s->room_bytes);
    qmcu_outer_store(s->room, s->room_bytes, &layer->requant, layer->out, s->out, s->count);
}

/* In one piece, and without C for the outputs, but where they must be brought from `room` to their places. */
static void run_window(state_t *s, const uint32_t *words, const uint32_t *sums)
{
    const qmcu_conv_outer_t *layer = s->layer;
    const int32_t last = 2 * s->how.pixels - 1;
    const int is_dense = s->count > last && s->out[last] - s->out[0] == s->dense_bytes;
    uint32_t sum[2] = {0, 0};
    for (int32_t row = 0; row < layer->kernel.h; ++row) {
        sum[0] += sums[2 * row];
        sum[1] += sums[2 * row + 1];
    }
    s->tile.words = words;
    s->tile.out = is_dense ? s->out[0] : s->room;
    const int32_t bytes = is_dense ? s->part->out.pixel_bytes : s->room_bytes;
    s->tile.pixel_bytes = layer->is_window ? 2 * bytes : bytes;
    s->tile.group_bytes = layer->is_window ? bytes : s->how.pixels * bytes;
    multiply(s, &s->tile, s->how.pixels, sum);
    if (is_dense) {
        return;
    }
    if (s->are_bytes) {
        qmcu_outer_store(s->room, s->room_bytes, &layer->requant, layer->out, s->out, s->count);
        return;
    }
    const int32_t size = qmcu_run_bytes(layer->out.c, layer->out.bits);
    for (int32_t p = 0; p < s->count; ++p) {
        memcpy(s->out[p], s->room + p * s->room_bytes, (size_t)size);
    }
}

/* Whether the region's rows lie behind one another, in the input and in the output. */
static int is_one_run(const qmcu_part_t *part, qmcu_size_t stride)
{
    const qmcu_region_t *region = &part->region;
    const int32_t columns = region->right - region->left;
    return stride.h == 1 && stride.w == 1 && part->in.row_bytes == columns * part->in.pixel_bytes &&
           part->out.row_bytes == columns * part->out.pixel_bytes && region->bottom - part->in.top <= part->in.rows &&
           region->bottom - part->out.top <= part->out.rows;
}

/* 1x1 without padding: full tiles whose pixels and outputs lie behind one another, as many as there are. Returns how
 * many pixels that are. */
static inline int32_t run_full_tiles(const state_t *s, int32_t pixels, const int8_t *x, int8_t *out, int32_t count)
{
    const int32_t step = s->layer->stride.w * s->part->in.pixel_bytes, out_step = s->part->out.pixel_bytes;
    const int32_t units = s->how.units;
    qmcu_outer_words_t *const words_of = s->how.words_of;
    qmcu_outer_tile_t tile = s->tile;
    int32_t left = count;
    tile.words = s->words;
    tile.out = out;
    tile.pixel_bytes = out_step;
    tile.group_bytes = pixels * out_step;
    for (; left >= 2 * pixels; left -= 2 * pixels) {
        const int8_t *from[MOST_PIXELS];
        uint32_t sum[2];
        for (int32_t i = 0; i < 2 * pixels; ++i, x += step) {
            from[i] = x;
        }
        sum[0] = words_of(from, units, s->words, UNIT_WORDS);
        sum[1] = words_of(from + pixels, units, s->words + QMCU_OUTER_UNIT, UNIT_WORDS);
        multiply(s, &tile, pixels, sum);
        tile.out += 2 * pixels * out_step;
    }
    return count - left;
}

static int32_t full_tiles(const state_t *s, const int8_t *x, int8_t *out, int32_t count)
{
    switch (s->how.pixels) { /* loops of a length that the compiler knows */
    case 2:
        return run_full_tiles(s, 2, x, out, count);
    case 3:
        return run_full_tiles(s, 3, x, out, count);
    default:
        return run_full_tiles(s, 4, x, out, count);
    }
}

/* 1x1 without padding: the region's pixels one after the other, the last one again where a tile is not full. */
static void run_pixels(state_t *s)
{
    const qmcu_conv_outer_t *layer = s->layer;
    const qmcu_source_t *in = &s->part->in;
    const qmcu_region_t *region = &s->part->region;
    const int32_t step = layer->stride.w * in->pixel_bytes, out_step = s->part->out.pixel_bytes;
    const int32_t size = 2 * s->how.pixels;
    const int32_t pixels = (region->right - region->left) * (region->bottom - region->top);
    const int32_t columns = is_one_run(s->part, layer->stride) ? pixels : region->right - region->left;
    const int is_plain = s->how.rest == 0 && s->slots == 1 && s->dense_bytes >= 0 && layer->finish != QMCU_OUTER_NONE;
    const int8_t *x = NULL;
    int8_t *out = NULL;
    int32_t y = region->top, in_row = 0, left = pixels;
    while (left > 0) {
        const int8_t *from[MOST_PIXELS];
        const int32_t count = left < size ? left : size;
        int32_t i = 0;
        while (i < count) {
            if (in_row == 0) {
                in_row = columns;
                x = qmcu_source_pixel(in, y * layer->stride.h, region->left * layer->stride.w);
                out = qmcu_target_pixel(&s->part->out, y++, region->left);
            }
            if (i == 0 && is_plain && in_row >= size) {
                const int32_t done = full_tiles(s, x, out, in_row);
                in_row -= done;
                left -= done;
                x += done * step;
                out += done * out_step;
                break;
            }
            const int32_t end = i + in_row < count ? i + in_row : count;
            in_row -= end - i;
            for (; i < end; ++i, x += step, out += out_step) {
                from[i] = x;
                s->out[i] = out;
            }
        }
        if (i == 0) {
            continue;
        }
        for (; i < size; ++i) {
            from[i] = from[i - 1];
        }
        s->count = count;
        left -= count;
        memset(s->sums, 0, (size_t)s->slots * 2 * sizeof *s->sums);
        qmcu_outer_tile_pixel(&s->how, from, s->words, s->sums);
        s->run_tile(s, s->words, s->sums);
    }
}

/* The tiles whose first column of the output is `left`. */
static void run_column(state_t *s, int32_t left)
{
    const qmcu_conv_outer_t *layer = s->layer;
    const qmcu_source_t *in = &s->part->in;
    const qmcu_region_t *region = &s->part->region;
    const int32_t row_words = s->row_words, row_sums = 2 * s->slots;
    const int32_t again = layer->dilation.h == 1 ? layer->kernel.h - layer->stride.h : 0; /* rows for the next row */
    const int32_t last = region->right - 1, out_step = s->part->out.pixel_bytes;
    int32_t x[MOST_PIXELS], place = 0;
    for (int32_t i = 0; i < 2 * s->how.pixels; ++i) {
        x[i] = (left + i < last ? left + i : last) * layer->stride.w - layer->pad.left;
    }
    s->count = last - left + 1 < 2 * s->how.pixels ? last - left + 1 : 2 * s->how.pixels;
    const int is_run = s->how.rest == 0 && s->slots == 1 && layer->dilation.w == 1 && x[0] >= 0 &&
                       x[2 * s->how.pixels - 1] + layer->kernel.w <= layer->in.w &&
                       in->pixel_bytes == s->how.whole * layer->in.bits;
    for (int32_t y = region->top; y < region->bottom; ++y) {
        int32_t kept = 0;
        if (y > region->top && again > 0) {
            kept = again;
            place += layer->stride.h;
            if (place + layer->kernel.h > layer->rows) {
                memmove(s->words, s->words + place * row_words, (size_t)(kept * row_words) * sizeof *s->words);
                for (int32_t i = 0; i < kept * row_sums; ++i) {
                    s->sums[i] = s->sums[place * row_sums + i];
                }
                place = 0;
            }
        }
        uint32_t *words = s->words + place * row_words, *sums = s->sums + place * row_sums;
        for (int32_t row = kept; row < layer->kernel.h; ++row) {
            const int32_t from = y * layer->stride.h - layer->pad.top + row * layer->dilation.h;
            if (layer->is_window) {
                prepare_columns(s, from, x[0], x[0] + s->count + 2, words + row * row_words, sums + row * row_sums);
            } else {
                prepare_row(s, from, x, is_run, words + row * row_words, sums + row * row_sums);
            }
        }
        int8_t *out = qmcu_target_pixel(&s->part->out, y, left);
        for (int32_t i = 0; i < s->count; ++i, out += out_step) {
            s->out[i] = out;
        }
        s->run_tile(s, words, sums);
    }
}

/* Whether every window is a pixel of the input. */
static int is_pointwise(const qmcu_conv_outer_t *layer)
{
    return layer->kernel.h == 1 && layer->kernel.w == 1 && (layer->pad.top | layer->pad.left) == 0 &&
           (layer->out.h - 1) * layer->stride.h < layer->in.h && (layer->out.w - 1) * layer->stride.w < layer->in.w;
}

/* Divides the scratch; Python twin: conv_outer._scratch_bytes. */
static void lay_out(state_t *s, int8_t *scratch)
{
    const qmcu_conv_outer_t *layer = s->layer;
    void *at = scratch;
    uint32_t *next = (uint32_t *)at;
    s->words = next;
    next += s->row_words * layer->rows;
    s->sums = next;
    next += 2 * s->slots * layer->rows;
    s->tile.fields = next;
    at = next + 8 * s->tile.groups;
    s->totals = (int32_t *)at;
    next += layer->finish == QMCU_OUTER_NONE ? (8 + 8 * s->how.pixels) * s->tile.groups : 0;
    at = next;
    s->padding = (int8_t *)at;
    s->room = s->padding + s->how.units * layer->in.bits;
    memset(s->padding, layer->in_zero * (layer->in.bits == 4 ? 0x11 : 0x55), (size_t)(s->how.units * layer->in.bits));
}

void qmcu_conv_outer_part(const qmcu_conv_outer_t *layer, const qmcu_part_t *part, int8_t *scratch)
{
    state_t s;
    s.run_tile = layer->finish == QMCU_OUTER_NONE ? run_pieces : run_window;
    s.are_bytes = layer->finish == QMCU_OUTER_BYTES || layer->finish == QMCU_OUTER_NONE;
    s.layer = layer;
    s.part = part;
    s.how = qmcu_outer_pixels(layer->in.c, layer->in.bits, layer->pixels);
    s.how.unit_words = layer->is_window ? 2 * UNIT_WORDS : UNIT_WORDS;
    s.how.chunk = layer->chunk;
    s.start = qmcu_outer_spread((uint32_t)layer->start, layer->pixels);
    const int32_t parts = (s.how.units + layer->chunk - 1) / layer->chunk;
    s.slots = layer->chunk > s.how.units ? parts : layer->kernel.w * parts;
    s.tile.units = layer->kernel.h * (layer->is_window ? 1 : layer->kernel.w) * s.how.units;
    s.row_words = s.tile.units / layer->kernel.h * s.how.unit_words;
    s.tile.entry = layer->is_window ? QMCU_OUTER_WINDOW : (3 - s.tile.units % 3) % 3;
    s.tile.weights = layer->weights;
    s.tile.groups = (layer->out.c + 3) >> 2;
    s.tile.constants = layer->constants;
    s.tile.finish = layer->finish;
    const int is_all = layer->out.bits == 8 && layer->requant.low == -128 && layer->requant.high == 127;
    const int is_direct = layer->out.c % 4 == 0 && (is_all || !s.are_bytes);
    s.dense_bytes = is_direct ? (2 * layer->pixels - 1) * part->out.pixel_bytes : -1;
    s.room_bytes = s.are_bytes ? 4 * s.tile.groups : s.tile.groups * layer->out.bits >> 1;
    lay_out(&s, scratch);
    if (is_pointwise(layer)) {
        run_pixels(&s);
        return;
    }
    for (int32_t x = part->region.left; x < part->region.right; x += 2 * layer->pixels) {
        run_column(&s, x);
    }
}

void qmcu_conv_outer(const qmcu_conv_outer_t *layer, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const qmcu_part_t part = qmcu_whole(layer->in, in, layer->out, out);
    qmcu_conv_outer_part(layer, &part, scratch);
}
