/* held.h: outputs of pixels from tiles: into the map, or held until several pixels are clamped and packed together. */
#ifndef QMCU_PRIMITIVES_HELD_H
#define QMCU_PRIMITIVES_HELD_H

#include "../core/part.h"
#include "primitives.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QMCU_HELD_PAIRS 4 /* of pixels: as many as need be for the cost of a call to hardly matter */

typedef struct {
    qmcu_limits_t limits;
    int32_t out_step; /* bytes from pixel to pixel of the map */
    int32_t step;     /* the same of where tiles write: the map, or `values` */
    int is_direct;    /* whether the map holds what tiles give: no clamp, no packing, no channel too many */
    int8_t *values;   /* room for the pixels that are held */
    int8_t *second;   /* of the second one, also where there is none */
} qmcu_held_t;

static inline qmcu_held_t qmcu_held(qmcu_shape_t out, int8_t low, int8_t high, int32_t out_step, int8_t *values)
{
    qmcu_held_t held;
    held.limits.count = out.c;
    held.limits.bits = out.bits;
    held.limits.low = low;
    held.limits.high = high;
    held.is_direct = out.bits == 8 && low == -128 && high == 127 && (out.c & 3) == 0;
    held.out_step = out_step;
    held.step = held.is_direct ? out_step : (out.c + 3) & ~3;
    held.values = values;
    held.second = values + ((out.c + 3) & ~3);
    return held;
}

/* Clamps, packs and writes pixels that are held to a run of pixels of the map. */
void qmcu_store_held(const qmcu_held_t *held, int32_t pixels, int8_t *out);

/* The same of two pixels that go anywhere. b: NULL for one pixel. */
void qmcu_store_two(const qmcu_held_t *held, int8_t *a, int8_t *b);

/* Pairs of `pixels` pixels that go together, of which `most` can be held. */
static inline int32_t qmcu_held_pairs(const qmcu_held_t *held, int32_t pixels, int32_t most)
{
    return held->is_direct || pixels < 2 * most ? pixels >> 1 : most;
}

/* Where tiles write outputs that go to `out`. */
static inline int8_t *qmcu_held_room(const qmcu_held_t *held, int8_t *out)
{
    return held->is_direct ? out : held->values;
}

/* Brings pixels that were written there into the map, if they are held. */
static inline void qmcu_keep(const qmcu_held_t *held, int32_t pixels, int8_t *out)
{
    if (!held->is_direct) {
        qmcu_store_held(held, pixels, out);
    }
}

#ifdef __cplusplus
}
#endif

#endif
