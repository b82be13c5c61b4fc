/* depthwise_poly.c: eight channels at a time, strip by strip, some columns of the output wide.
 *
 * Per block of channels: a word for each row of its weights. Per strip: each input row becomes words of three or four
 * neighbours per channel, padding filled in; per two output rows and channel, one primitive multiplies and requantizes
 * into [pixel][row][channel], then pixels are packed. The first two outputs belong to windows before the strip. Where
 * the image begins or ends with the strip, its column of padding is no value of a word: what it adds is known before.
 *
 * Rows of words are a ring that moves on: row r of word i lies at i * 4 + r, so that each row takes the place of one
 * that windows have left, one word further. After SPARE rows the ring begins anew.
 *
 * A row has fixed costs. Where a part is TALL times as high as wide, it is turned: its columns are taken for rows. */
#include "depthwise_poly.h"

#include <string.h>

#include "../core/poly.h"
#include "../core/turn.h"
#include "../primitives/runs.h"

#define SPARE 15
#define TAPS 9
#define WINDOW 3
#define TALL 2

typedef struct {
    const qmcu_depthwise_poly_t *layer;
    const qmcu_part_t *part;
    int32_t pixels, width; /* in a word; bits of a coefficient */
    int32_t first, count;  /* channels of the block that are computed */
    int32_t byte, skip;    /* of a pixel of the input: where the block's channels begin, those before `first` */
    int32_t *channels;     /* [count][QMCU_POLY_WORDS] */
    uint32_t *words;
    int8_t *staged;      /* [pixel][QMCU_POLY_STAGED] */
    int32_t left, right; /* columns of the output */
    int32_t start, stop; /* columns of the input that are values of words */
    int32_t top;         /* input row with which the ring begins */
    int32_t ready;       /* rows that are there */
    qmcu_poly_row_t row; /* as it is for all rows of the strip */
    int is_turned;       /* whether layer and part are turned; the weights are not */
    int8_t padding[4];
} block_t;

/* The sum of value * X^i for the coefficients of a word. */
static int32_t in_all(const block_t *block, int32_t value)
{
    uint32_t word = (uint32_t)value;
    for (int32_t i = 1; i < block->pixels; ++i) {
        word |= (uint32_t)value << (i * block->width);
    }
    return (int32_t)word;
}

/* Where a channel's values wait for qmcu_store_staged: what is packed into a byte lies in different words. */
static int32_t place_of(int32_t channel, int32_t bits)
{
    if (bits == 8) {
        return channel;
    }
    const int32_t pair = channel >> 1;
    return 4 * (channel & 1) + (bits == 4 ? pair : (pair & 1) * 2 + (pair >> 1));
}

/* Weights and lanes of the block's channels. */
static void load_channels(const block_t *block)
{
    const qmcu_depthwise_poly_t *layer = block->layer;
    const int32_t step = qmcu_run_bytes(TAPS, layer->weight_bits), scale = 1 << block->width;
    const int32_t across = block->is_turned ? WINDOW : 1, down = block->is_turned ? 1 : WINDOW;
    int32_t *word = block->channels;
    for (int32_t c = 0; c < block->count; ++c) {
        int8_t buffer[TAPS];
        const int32_t *lane = layer->lanes + 3 * (block->first + c);
        const int8_t *run = layer->weights + (ptrdiff_t)(block->first + c) * step;
        const int8_t *taps = qmcu_load_weights(run, layer->weight_bits, 0, TAPS, buffer);
        for (int32_t r = 0; r < WINDOW; ++r) {
            const int8_t *row = taps + r * down;
            *word++ = row[2 * across] + scale * (row[across] + scale * row[0]); /* |taps| <= 8 */
        }
        *word++ = lane[1];
        *word++ = lane[2];
        *word++ = in_all(block, lane[0]);
        *word++ = place_of(c, layer->out.bits);
        *word++ = layer->in_zero * (taps[0] + taps[down] + taps[2 * down]) * 256;
        taps += 2 * across;
        *word++ = layer->in_zero * (taps[0] + taps[down] + taps[2 * down]) + lane[0];
    }
}

/* A word of padding, or one whose pixels lie in columns [0, end) in part; they begin with column x. */
static void edge_word(const block_t *block, const int8_t *row, int32_t x, int32_t end, uint32_t *out)
{
    const qmcu_source_t *in = &block->part->in;
    qmcu_poly_pixels_t pixels;
    if (x >= end || x + block->pixels <= 0) {
        const uint32_t word = (uint32_t)in_all(block, block->layer->in_zero);
        for (int32_t c = 0; c < QMCU_POLY_BLOCK; ++c) {
            out[c] = word;
        }
        return;
    }
    pixels.bits = block->layer->in.bits;
    pixels.step = 0;
    for (int32_t i = 0; i < block->pixels; ++i, ++x) {
        pixels.pixel[i] = x >= 0 && x < end ? row + (x - in->left) * in->pixel_bytes : block->padding;
    }
    qmcu_poly_words(&pixels, 1, out);
}

/* Words of input row y, which is row `place` of the ring. */
static void fill_row(const block_t *block, int32_t y, int32_t place)
{
    const qmcu_depthwise_poly_t *layer = block->layer;
    const qmcu_source_t *in = &block->part->in;
    const int32_t words = block->row.words, in_word = block->pixels;
    uint32_t *out = block->words + place * QMCU_POLY_BLOCK;
    const int is_inside = y >= 0 && y < layer->in.h;
    const int32_t end = !is_inside ? block->start : block->stop < layer->in.w ? block->stop : layer->in.w;
    const int8_t *row = is_inside ? qmcu_source_row(in, y) + block->byte : block->padding;
    int32_t x = block->start, word = 0;
    for (; x < 0 && word < words; ++word, x += in_word, out += QMCU_POLY_STEP) {
        edge_word(block, row, x, end, out);
    }
    const int32_t inner = (end - x) / in_word;
    if (inner > 0) {
        qmcu_poly_pixels_t pixels;
        pixels.bits = layer->in.bits;
        pixels.step = in_word * in->pixel_bytes;
        pixels.pixel[0] = row + (x - in->left) * in->pixel_bytes;
        for (int32_t i = 1; i < in_word; ++i) {
            pixels.pixel[i] = pixels.pixel[i - 1] + in->pixel_bytes;
        }
        qmcu_poly_words(&pixels, inner, out);
        x += inner * in_word;
        word += inner;
        out += inner * QMCU_POLY_STEP;
    }
    for (; word < words; ++word, x += in_word, out += QMCU_POLY_STEP) {
        edge_word(block, row, x, end, out);
    }
}

/* Which columns become words. One column of padding on either side need not. Returns the outputs before the strip's. */
static int32_t lay_out_row(block_t *block)
{
    const qmcu_depthwise_poly_t *layer = block->layer;
    qmcu_poly_row_t *row = &block->row;
    int32_t before = WINDOW - 1;
    block->start = block->left - layer->pad.left;
    block->stop = block->right - layer->pad.left + WINDOW - 1;
    if (block->start == -1) {
        block->start = 0;
        before -= 1;
    } else {
        for (int32_t c = 0; c < block->count; ++c) {
            block->channels[c * QMCU_POLY_WORDS + 7] = 0;
        }
    }
    const int32_t inner = layer->in.w - block->start;
    row->has_tail = block->stop == layer->in.w + 1 && inner > 0 && inner % block->pixels == 0;
    block->stop -= row->has_tail;
    row->words = (block->stop - block->start + block->pixels - 1) / block->pixels;
    row->channel = block->channels;
    row->channels = block->count;
    row->bits = layer->in.bits;
    return before;
}

/* All rows of the strip. */
static void run_strip(block_t *block)
{
    const qmcu_depthwise_poly_t *layer = block->layer;
    const qmcu_region_t region = block->part->region;
    const qmcu_target_t *target = &block->part->out;
    const int8_t *values = block->staged + lay_out_row(block) * QMCU_POLY_STAGED;
    qmcu_staged_t staged = {values, block->right - block->left, block->count, layer->out.bits};
    for (int32_t oy = region.top; oy < region.bottom; oy += block->row.rows) {
        const int32_t y = oy - layer->pad.top;
        block->row.rows = region.bottom - oy < 2 ? 1 : 2;
        if (oy == region.top || y - block->top > SPARE) {
            block->top = y;
            block->ready = 0;
        }
        const int32_t begin = y - block->top;
        for (; block->ready < begin + QMCU_POLY_ROWS + block->row.rows - 1; ++block->ready) {
            fill_row(block, block->top + block->ready, block->ready);
        }
        qmcu_poly_row(block->words + begin * QMCU_POLY_BLOCK + block->skip, &block->row, block->staged);
        for (int32_t row = 0; row < block->row.rows; ++row) {
            int8_t *pixel = qmcu_target_pixel(target, oy + row, block->left) + (block->first * layer->out.bits >> 3);
            staged.values = values + row * QMCU_POLY_BLOCK;
            qmcu_store_staged(&staged, pixel, target->pixel_bytes);
        }
    }
}

/* Where the channels [first, first + count) of a pixel of the input are read: eight of them, within the pixel. */
static void place_block(block_t *block)
{
    const int32_t bits = block->layer->in.bits, bytes = qmcu_run_bytes(block->layer->in.c, bits);
    block->byte = block->first * bits >> 3;
    if (block->byte + bits > bytes) { /* eight values take as many bytes as one has bits */
        block->byte = bytes - bits;
    }
    block->skip = block->first - block->byte * 8 / bits;
}

static void run_blocks(const qmcu_depthwise_poly_t *layer, const qmcu_part_t *part, int is_turned, int8_t *scratch)
{
    const qmcu_region_t region = part->region;
    block_t block;
    block.layer = layer;
    block.part = part;
    block.is_turned = is_turned;
    block.pixels = qmcu_poly_pixels(layer->in.bits);
    block.width = qmcu_poly_width(layer->in.bits);
    const int32_t words = (layer->strip + block.pixels + 1) / block.pixels;
    block.channels = (int32_t *)(void *)scratch; /* scratch is aligned for words */
    block.words = (uint32_t *)(void *)scratch + QMCU_POLY_BLOCK * QMCU_POLY_WORDS;
    block.staged = (int8_t *)(block.words + QMCU_POLY_BLOCK * (QMCU_POLY_SLOTS * words + SPARE));
    memset(block.staged, 0, (size_t)(QMCU_POLY_STAGED * block.pixels * words));
    const int32_t byte = layer->in_zero * (layer->in.bits == 4 ? 0x11 : 0x55);
    memset(block.padding, byte, sizeof block.padding);
    for (block.first = 0; block.first < layer->out.c; block.first += QMCU_POLY_BLOCK) {
        const int32_t channels = layer->out.c - block.first;
        block.count = channels < QMCU_POLY_BLOCK ? channels : QMCU_POLY_BLOCK;
        place_block(&block);
        load_channels(&block);
        for (block.left = region.left; block.left < region.right; block.left = block.right) {
            const int32_t columns = region.right - block.left;
            block.right = block.left + (columns < layer->strip ? columns : layer->strip);
            run_strip(&block);
        }
    }
}

/* Turns layer and part. Returns 0 and leaves them as they are where it cannot. */
static int turn(qmcu_depthwise_poly_t *layer, qmcu_part_t *part)
{
    const int32_t start = part->region.top - layer->pad.top, stop = part->region.bottom - layer->pad.top + WINDOW - 1;
    if (!qmcu_turn(part, start < 0 ? 0 : start, stop < layer->in.h ? stop : layer->in.h)) {
        return 0;
    }
    qmcu_swap(&layer->in.h, &layer->in.w);
    qmcu_swap(&layer->out.h, &layer->out.w);
    qmcu_swap(&layer->pad.top, &layer->pad.left);
    return 1;
}

void qmcu_depthwise_poly_part(const qmcu_depthwise_poly_t *layer, const qmcu_part_t *part, int8_t *scratch)
{
    const int32_t height = part->region.bottom - part->region.top, width = part->region.right - part->region.left;
    if (height <= 0 || width <= 0) {
        return;
    }
    if (height >= TALL * width) {
        qmcu_depthwise_poly_t turned_layer = *layer;
        qmcu_part_t turned_part = *part;
        if (turn(&turned_layer, &turned_part)) {
            run_blocks(&turned_layer, &turned_part, 1, scratch);
            return;
        }
    }
    run_blocks(layer, part, 0, scratch);
}

void qmcu_depthwise_poly(const qmcu_depthwise_poly_t *layer, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const qmcu_part_t part = qmcu_whole(layer->in, in, layer->out, out);
    qmcu_depthwise_poly_part(layer, &part, scratch);
}
