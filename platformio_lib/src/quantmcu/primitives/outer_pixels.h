/* outer_pixels.h: pixels become words for outer products (core/outer.h), whole units of them and what is left of a
 * pixel. */
#ifndef QMCU_PRIMITIVES_OUTER_PIXELS_H
#define QMCU_PRIMITIVES_OUTER_PIXELS_H

#include <string.h>

#include "primitives.h"

#define QMCU_OUTER_MOST_PIXELS 8                /* of a tile: of both groups */
#define QMCU_OUTER_UNIT_WORDS (2 * QMCU_OUTER_UNIT) /* of both groups */

typedef uint32_t qmcu_outer_words_t(const int8_t *const *x, int32_t units, uint32_t *words, int32_t step);

/* How the pixels of a map lie in memory, and in words. */
typedef struct {
    qmcu_outer_words_t *words_of;
    int32_t pixels;      /* of a group */
    int32_t unit_words;  /* from unit to unit: of two groups, or of four columns of a window */
    int32_t units;       /* of a pixel */
    int32_t unit_bytes;  /* of eight values */
    int32_t whole, rest; /* units of a pixel that lie in memory as a whole, and bytes that are left */
    int32_t chunk;       /* units whose words are summed together */
} qmcu_outer_pixels_t;

static inline qmcu_outer_words_t *qmcu_outer_words(int32_t bits, int32_t pixels)
{
    if (bits == 4) {
        return pixels == 2 ? qmcu_outer_words_u4x2 : qmcu_outer_words_u4x3;
    }
    return pixels == 2 ? qmcu_outer_words_u2x2 : pixels == 3 ? qmcu_outer_words_u2x3 : qmcu_outer_words_u2x4;
}

/* Of a map whose pixels have so many channels of so many bits. */
static inline qmcu_outer_pixels_t qmcu_outer_pixels(int32_t channels, int32_t bits, int32_t pixels)
{
    const int32_t bytes = qmcu_run_bytes(channels, bits);
    qmcu_outer_pixels_t how;
    how.words_of = qmcu_outer_words(bits, pixels);
    how.pixels = pixels;
    how.unit_bytes = bits;
    how.whole = bytes / bits;
    how.rest = bytes % bits;
    how.units = how.whole + (how.rest != 0);
    how.unit_words = QMCU_OUTER_UNIT_WORDS;
    how.chunk = how.units;
    return how;
}

/* Units [first, first + count) of a group of pixels; the sum of the words. */
static inline uint32_t qmcu_outer_group(const qmcu_outer_pixels_t *how, const int8_t *const *x, int32_t first,
                                        int32_t count, uint32_t *words)
{
    const int8_t *from[QMCU_OUTER_MOST_PIXELS / 2];
    uint32_t sum = 0;
    int32_t whole = how->whole - first;
    whole = whole < count ? whole : count;
    for (int32_t p = 0; p < how->pixels; ++p) {
        from[p] = x[p] + first * how->unit_bytes;
    }
    if (whole > 0) {
        sum = how->words_of(from, whole, words, how->unit_words);
    }
    if (whole < count) { /* what follows the pixel's last byte need not be there */
        int8_t ends[QMCU_OUTER_MOST_PIXELS / 2][4];
        for (int32_t p = 0; p < how->pixels; ++p) {
            memset(ends[p], 0, sizeof ends[p]);
            for (int32_t i = 0; i < how->rest; ++i) {
                ends[p][i] = from[p][whole * how->unit_bytes + i];
            }
            from[p] = ends[p];
        }
        sum += how->words_of(from, 1, words + how->unit_words * whole, how->unit_words);
    }
    return sum;
}

/* A pixel of the window, for both groups of a tile; adds to the sums of its chunks. */
static inline void qmcu_outer_tile_pixel(const qmcu_outer_pixels_t *how, const int8_t *const *x, uint32_t *words,
                                         uint32_t *sums)
{
    for (int32_t first = 0; first < how->units; first += how->chunk, sums += 2) {
        const int32_t count = how->units - first < how->chunk ? how->units - first : how->chunk;
        sums[0] += qmcu_outer_group(how, x, first, count, words);
        sums[1] += qmcu_outer_group(how, x + how->pixels, first, count, words + QMCU_OUTER_UNIT);
        words += QMCU_OUTER_UNIT_WORDS * count;
    }
}

/* Bits of a field. */
static inline int32_t qmcu_outer_step(int32_t pixels)
{
    return pixels == 2 ? 14 : pixels == 3 ? 10 : 7;
}

/* A value in the fields of each pixel of a group. */
static inline uint64_t qmcu_outer_spread(uint32_t value, int32_t pixels)
{
    uint64_t spread = 0;
    for (int32_t p = 0; p < pixels; ++p) {
        spread += (uint64_t)value << (p * qmcu_outer_step(pixels));
    }
    return spread;
}

/* Where the accumulators of a group of pixels begin whose words add up to `sum`; start: D, spread. Weights of four bits
 * come with two pixels, and are stored 8 higher; those of two bits are stored 2 higher. */
static inline uint64_t qmcu_outer_start(uint64_t start, int32_t pixels, uint32_t sum)
{
    const uint64_t both = start - (pixels == 2 ? (uint64_t)sum << 3 : (uint64_t)sum << 1);
    return both + (both << (pixels == 3 ? 30 : 28));
}

#endif
