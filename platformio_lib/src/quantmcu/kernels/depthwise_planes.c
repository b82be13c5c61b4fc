/* depthwise_planes.c: four channels at a time, strip by strip, some columns of the output wide.
 *
 * Per block of channels: its weights become words of two lanes in scratch, once for windows that begin with the upper
 * row of a pair and once for those that begin with the lower one. Per strip: two input rows at a time are widened into
 * four planes of words, once, padding filled in; then one primitive multiplies and requantizes: some rows of outputs
 * where windows have three columns and two or three rows, else one.
 *
 * Rows of a plane are a ring that moves on: pair p of the rows in column x lies at word x * held + p, so that each
 * pair takes the place of the one that windows have left, one column further. After SPARE pairs the ring begins anew.
 *
 * A row has fixed costs. Where a part is TALL times as high as wide, it is turned: its columns are taken for rows. */
#include "depthwise_planes.h"

#include <string.h>

#include "../core/planes.h"
#include "../core/turn.h"
#include "../primitives/runs.h"

#define SPARE 15
#define ROWS (2 * QMCU_COLUMN_PAIRS - 2) /* of outputs at stride 1, whose windows see all pairs that columns have */
#define TALL 2
#define MOST_TAPS 128 /* of a window with three more rows */

typedef struct {
    const qmcu_depthwise_planes_t *layer;
    const qmcu_part_t *part;
    int32_t first, count; /* channels of the block that are computed */
    int32_t byte, skip;   /* of a pixel of the input: where the block's four channels begin, those before `first` */
    int32_t pairs;        /* words of a column that a window sees */
    int32_t held;         /* that a column has */
    int32_t rows;         /* of outputs that are computed together */
    int32_t is_three;     /* whether windows have three columns and two or three rows, 1 or 2 apart both ways */
    int32_t words;        /* of a channel's lane and weights */
    uint32_t *channels;   /* [count][2][words] */
    uint32_t *planes;
    int8_t *staged;               /* [rows][strip][QMCU_BLOCK]; NULL where values go into the map at once */
    int32_t left, right;          /* columns of the output */
    qmcu_row_pair_t seen;         /* columns that its windows see */
    int32_t column, place;        /* of the first of them within a row of the image; of the block's channels there */
    int32_t end;                  /* input rows from here on are not needed */
    int32_t top;                  /* input row with which the ring begins */
    int32_t ready;                /* pairs of rows that are there */
    qmcu_planes_row_t row;        /* as it is for all rows of the strip */
    qmcu_planes_rows_t group;     /* the same where is_three */
    int is_turned;                /* whether layer and part are turned; the weights are not */
    int8_t padding[QMCU_BLOCK];
} block_t;

/* Two weights in the lanes of a word. */
static inline uint32_t lanes_of(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xffffu) | (uint32_t)high << 16;
}

/* Words for windows that begin with the upper row of a pair, and for those that begin with the lower one. */
static void put_weights(const block_t *block, const int8_t *taps, int32_t factor, uint32_t *even, uint32_t *odd)
{
    const int32_t columns = block->layer->kernel.w, rows = block->layer->kernel.h, count = rows * columns;
    const int32_t across = block->is_turned ? rows : 1, down = block->is_turned ? 1 : columns;
    int16_t scaled[MOST_TAPS]; /* below a row and above two rows of zeros */
    memset(scaled, 0, (size_t)columns * sizeof *scaled);
    memset(scaled + columns + count, 0, (size_t)columns * 2 * sizeof *scaled);
    for (int32_t i = 0, y = 0; y < rows; ++y) {
        for (int32_t x = 0; x < columns; ++x, ++i) {
            scaled[columns + i] = (int16_t)(taps[y * down + x * across] * factor);
        }
    }
    for (const int16_t *first = scaled; first != scaled + columns; ++first) {
        const int16_t *row = first;
        for (int32_t i = 0; i < block->pairs; ++i, row += 2 * columns) {
            *even++ = lanes_of(row[columns], row[2 * columns]);
            *odd++ = lanes_of(row[0], row[columns]);
        }
    }
}

/* The same as five words each (core/planes.h). */
static void put_weights_3(const block_t *block, const int8_t *taps, int32_t factor, uint32_t *even, uint32_t *odd)
{
    int32_t first[3], third[3];
    const int32_t across = block->is_turned ? 3 : 1, down = block->is_turned ? 1 : 3;
    for (int32_t x = 0; x < 3; ++x, taps += across) {
        const int32_t second = taps[down] * factor;
        first[x] = taps[0] * factor;
        third[x] = block->layer->kernel.h == 3 ? taps[2 * down] * factor : 0;
        even[x] = lanes_of(first[x], second);
        odd[x] = lanes_of(second, third[x]);
    }
    even[3] = lanes_of(third[0], third[1]);
    even[4] = lanes_of(third[2], 0);
    odd[3] = lanes_of(first[0], first[1]);
    odd[4] = lanes_of(first[2], 0);
}

/* Lanes and weights of the block's channels, twice: for windows that begin with the upper row of a pair, and others. */
static void load_channels(const block_t *block)
{
    const qmcu_depthwise_planes_t *layer = block->layer;
    const int32_t count = layer->kernel.h * layer->kernel.w, step = qmcu_run_bytes(count, layer->weight_bits);
    uint32_t *even = block->channels;
    const int is_plain = block->is_three && layer->kernel.h == 3 && !block->is_turned;
    if (is_plain && (!QMCU_PACKED || layer->weight_bits == 8)) {
        const int32_t *lanes = layer->lanes + QMCU_LANE_HEAD * block->first;
        qmcu_planes_lanes_3(layer->weights + (ptrdiff_t)block->first * step, lanes, block->count, even);
        return;
    }
    for (int32_t c = block->first; c < block->first + block->count; ++c, even += 2 * block->words) {
        int8_t buffer[MOST_TAPS];
        const int8_t *run = layer->weights + (ptrdiff_t)c * step;
        const int8_t *taps = qmcu_load_weights(run, layer->weight_bits, 0, count, buffer);
        const int32_t *lane = layer->lanes + QMCU_LANE_HEAD * c;
        uint32_t *odd = even + block->words;
        for (int32_t i = 0; i < QMCU_LANE_HEAD; ++i) {
            even[i] = odd[i] = (uint32_t)lane[i];
        }
        if (block->is_three) {
            put_weights_3(block, taps, lane[3] >> 8, even + QMCU_LANE_HEAD, odd + QMCU_LANE_HEAD);
        } else {
            put_weights(block, taps, lane[3] >> 8, even + QMCU_LANE_HEAD, odd + QMCU_LANE_HEAD);
        }
    }
}

/* Widens pair number `pair` of the rows, for all columns that the strip sees. */
static void widen_pair(block_t *block, int32_t pair)
{
    const qmcu_source_t *in = &block->part->in;
    qmcu_row_pair_t *seen = &block->seen;
    const int32_t y = block->top + 2 * pair, step = in->pixel_bytes;
    const int is_upper = y >= 0 && y < block->end, is_lower = y + 1 >= 0 && y + 1 < block->end;
    seen->row[0] = is_upper ? qmcu_source_row(in, y) + block->place : block->padding;
    seen->pixel_bytes[0] = is_upper ? step : 0;
    if (is_upper && y + 1 - in->top != in->rows) {
        seen->row[1] = seen->row[0] + in->row_bytes;
    } else if (is_lower) {
        seen->row[1] = qmcu_source_row(in, y + 1) + block->place;
    }
    seen->row[1] = is_lower ? seen->row[1] : block->padding;
    seen->pixel_bytes[1] = is_lower ? step : 0;
    qmcu_pair_rows(seen, block->held * QMCU_BLOCK, block->planes + pair * QMCU_BLOCK);
}

/* Puts a row of staged values into the map. */
static void store_row(const block_t *block, const int8_t *staged, int8_t *pixel)
{
    const qmcu_depthwise_planes_t *layer = block->layer;
    const int32_t count = block->right - block->left;
    const qmcu_quads_t quads = {staged, count, block->count, layer->out.bits, layer->low, layer->high};
    qmcu_store_quads(&quads, pixel + (QMCU_PACKED ? block->first * layer->out.bits >> 3 : block->first),
                     block->part->out.pixel_bytes);
}

/* The strip's row oy of the output; its windows begin with row `begin` of the ring. */
static void compute_row(block_t *block, int32_t oy, int32_t begin)
{
    int8_t *pixel = qmcu_target_pixel(&block->part->out, oy, block->left);
    qmcu_planes_row_t *row = &block->row;
    row->is_odd = begin & 1;
    row->channel = block->channels + row->is_odd * block->words;
    qmcu_planes_row(block->planes + (begin >> 1) * QMCU_BLOCK + block->skip, row,
                    block->staged == NULL ? pixel + block->first : block->staged);
    if (block->staged != NULL) {
        store_row(block, block->staged, pixel);
    }
}

/* The same of `rows` rows that lie one after another in the map. */
static void compute_rows(block_t *block, int32_t oy, int32_t rows, int32_t begin)
{
    const qmcu_target_t *target = &block->part->out;
    int8_t *pixel = qmcu_target_pixel(target, oy, block->left);
    const int32_t is_odd = begin & 1, is_mixed = block->layer->stride.h == 1;
    const int32_t row_bytes = block->staged == NULL ? target->row_bytes : QMCU_BLOCK * (block->right - block->left);
    int8_t *out = block->staged == NULL ? pixel + block->first : block->staged;
    const uint32_t *plane = block->planes + (begin >> 1) * QMCU_BLOCK + block->skip;
    qmcu_planes_rows_t *group = &block->group;
    group->part[is_odd].plane = plane;
    group->part[is_odd].out = out;
    group->part[is_odd].rows = is_mixed ? (rows + 1) >> 1 : rows;
    group->part[!is_odd].plane = plane + (is_odd ? QMCU_BLOCK : 0);
    group->part[!is_odd].out = out + row_bytes;
    group->part[!is_odd].rows = is_mixed ? rows >> 1 : 0;
    group->row_step = is_mixed ? 2 * row_bytes : row_bytes;
    qmcu_planes_rows_3(group);
    for (; block->staged != NULL && rows > 0; --rows, out += row_bytes, pixel += target->row_bytes) {
        store_row(block, out, pixel);
    }
}

static inline int32_t within(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* What all rows of the strip have in common. */
static void describe_rows(block_t *block)
{
    const qmcu_depthwise_planes_t *layer = block->layer;
    const qmcu_source_t *in = &block->part->in;
    qmcu_planes_row_t *row = &block->row;
    qmcu_planes_rows_t *group = &block->group;
    row->channels = group->channels = block->count;
    block->place = block->column + block->byte;
    if (block->first > 0 && block->right - block->left == layer->out.w) { /* as for the channels before */
        return;
    }
    const int32_t start = block->left * layer->stride.w - layer->pad.left;
    const int32_t stop = (block->right - 1) * layer->stride.w - layer->pad.left + layer->kernel.w;
    const int32_t first = within(0, start, stop), last = within(layer->in.w, first, stop);
    block->seen.before = first - start;
    block->seen.inner = last - first;
    block->seen.after = stop - last;
    block->column = (first - in->left) * in->pixel_bytes;
    block->place = block->column + block->byte;
    const int32_t end = (block->part->region.bottom - 1) * layer->stride.h - layer->pad.top + layer->kernel.h;
    block->end = end < layer->in.h ? end : layer->in.h;
    group->channel = block->channels;
    row->channel_words = 2 * block->words;
    row->count = group->count = block->right - block->left;
    row->pitch = group->pitch = block->staged == NULL ? block->part->out.pixel_bytes : QMCU_BLOCK;
    row->columns = layer->kernel.w;
    row->pairs = block->pairs;
    row->stride = group->stride = layer->stride.w;
    row->form = group->form = layer->form;
}

/* How many rows of outputs from oy on, whose windows begin with row `begin` of the ring, are computed together: their
 * windows see no more pairs than columns have, and they lie one after another in the map. */
static int32_t rows_from(const block_t *block, int32_t oy, int32_t begin)
{
    const qmcu_target_t *target = &block->part->out;
    const int32_t place = oy - target->top, left = block->part->region.bottom - oy;
    int32_t rows = block->is_three ? block->rows - (begin & 1) : 1;
    if (place < target->rows && rows > target->rows - place) {
        rows = target->rows - place;
    }
    return left < rows ? left : rows;
}

/* All rows of the strip. */
static void run_strip(block_t *block)
{
    const qmcu_depthwise_planes_t *layer = block->layer;
    const qmcu_region_t region = block->part->region;
    describe_rows(block);
    for (int32_t oy = region.top, rows; oy < region.bottom; oy += rows) {
        const int32_t y = oy * layer->stride.h - layer->pad.top;
        if (oy == region.top || (y - block->top) / 2 > SPARE) {
            block->top = y;
            block->ready = 0;
        }
        const int32_t begin = y - block->top;
        rows = rows_from(block, oy, begin);
        const int32_t end = begin + (rows - 1) * layer->stride.h + layer->kernel.h;
        for (; 2 * block->ready < end; ++block->ready) {
            widen_pair(block, block->ready);
        }
        if (block->is_three) {
            compute_rows(block, oy, rows, begin);
        } else {
            compute_row(block, oy, begin);
        }
    }
}

/* Where the channels [first, first + count) of a pixel of the input are read: four of them, within the pixel. */
static void place_block(block_t *block)
{
    const int32_t bits = QMCU_PACKED ? block->layer->in.bits : 8;
    const int32_t size = QMCU_BLOCK * bits / 8, bytes = qmcu_run_bytes(block->layer->in.c, bits);
    block->byte = block->first * bits / 8;
    if (block->byte + size > bytes) {
        block->byte = bytes - size;
    }
    block->skip = block->first - block->byte * 8 / bits;
}

/* A pixel of zero-points, packed as the input is. */
static void fill_padding(block_t *block)
{
    const int32_t bits = QMCU_PACKED ? block->layer->in.bits : 8;
    uint32_t value = (uint8_t)block->layer->in_zero;
    for (int32_t width = bits; width < 8; width *= 2) {
        value |= value << width;
    }
    memset(block->padding, (int)(value & 0xffu), sizeof block->padding);
}

static void run_blocks(const qmcu_depthwise_planes_t *layer, const qmcu_part_t *part, int is_turned, int8_t *scratch)
{
    const qmcu_region_t region = part->region;
    const int32_t bits = QMCU_PACKED ? layer->out.bits : 8;
    block_t block;
    block.layer = layer;
    block.column = 0;
    block.part = part;
    block.is_turned = is_turned;
    block.pairs = layer->kernel.h / 2 + 1;
    const int is_even = layer->stride.h == layer->stride.w && layer->stride.w < 3;
    block.is_three = layer->kernel.w == 3 && block.pairs == 2 && is_even;
    block.held = block.is_three ? QMCU_COLUMN_PAIRS : block.pairs;
    block.rows = block.is_three ? ROWS / layer->stride.h : 1; /* the next ones begin with an upper row */
    block.words = QMCU_LANE_HEAD + (block.is_three ? QMCU_WINDOW_3_WORDS : block.pairs * layer->kernel.w);
    block.channels = (uint32_t *)(void *)scratch; /* scratch is aligned for words */
    block.planes = block.channels + QMCU_BLOCK * 2 * block.words;
    const int32_t most = (layer->strip - 1) * layer->stride.w + layer->kernel.w;
    int8_t *staged = (int8_t *)(block.planes + QMCU_BLOCK * (block.held * most + SPARE));
    block.staged = bits < 8 || layer->low > -128 || layer->high < 127 ? staged : NULL;
    block.seen.bits = QMCU_PACKED ? layer->in.bits : 8;
    block.seen.padding = ((uint32_t)layer->in_zero & 0xffffu) * 0x10001u;
    fill_padding(&block);
    for (block.first = 0; block.first < layer->out.c; block.first += QMCU_BLOCK) {
        const int32_t channels = layer->out.c - block.first;
        block.count = channels < QMCU_BLOCK ? channels : QMCU_BLOCK;
        place_block(&block);
        load_channels(&block);
        for (block.left = region.left; block.left < region.right; block.left = block.right) {
            const int32_t columns = region.right - block.left;
            block.right = block.left + (columns < layer->strip ? columns : layer->strip);
            run_strip(&block);
        }
    }
}

/* Turns layer and part, whose kernel and stride are alike both ways. Returns 0 and leaves them where it cannot. */
static int turn(qmcu_depthwise_planes_t *layer, qmcu_part_t *part)
{
    const int32_t start = part->region.top * layer->stride.h - layer->pad.top;
    const int32_t stop = (part->region.bottom - 1) * layer->stride.h - layer->pad.top + layer->kernel.h;
    if (!qmcu_turn(part, within(0, start, stop), within(layer->in.h, start, stop))) {
        return 0;
    }
    qmcu_swap(&layer->in.h, &layer->in.w);
    qmcu_swap(&layer->out.h, &layer->out.w);
    qmcu_swap(&layer->pad.top, &layer->pad.left);
    return 1;
}

void qmcu_depthwise_planes_part(const qmcu_depthwise_planes_t *layer, const qmcu_part_t *part, int8_t *scratch)
{
    const int32_t height = part->region.bottom - part->region.top, width = part->region.right - part->region.left;
    if (height <= 0 || width <= 0) {
        return;
    }
    if (height >= TALL * width && layer->kernel.h == layer->kernel.w && layer->stride.h == layer->stride.w) {
        qmcu_depthwise_planes_t turned_layer = *layer;
        qmcu_part_t turned_part = *part;
        if (turn(&turned_layer, &turned_part)) {
            run_blocks(&turned_layer, &turned_part, 1, scratch);
            return;
        }
    }
    run_blocks(layer, part, 0, scratch);
}

void qmcu_depthwise_planes(const qmcu_depthwise_planes_t *layer, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const qmcu_part_t part = qmcu_whole(layer->in, in, layer->out, out);
    qmcu_depthwise_planes_part(layer, &part, scratch);
}
