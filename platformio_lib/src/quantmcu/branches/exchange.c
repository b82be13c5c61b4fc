/* exchange.c: moves pixels between tiles and kept rows of other widths and scales. */
#include "exchange.h"

#include "../core/kept.h"
#include "../primitives/values.h"

/* A region of a map with kept rows, into its tile or out of it. */
static void exchange_region(const qmcu_patch_t *patch, int32_t map, qmcu_region_t region,
                            const qmcu_exchange_t *exchange, int into_tile)
{
    const qmcu_map_t *m = patch->segment->maps + map;
    const qmcu_target_t tile = qmcu_target(patch, map);
    const int32_t kept_bytes = qmcu_run_bytes(m->channels, exchange->kept_bits);
    const qmcu_carry_t take = {exchange->take, exchange->kept_bits, exchange->bits};
    const qmcu_carry_t give = {exchange->give, exchange->bits, exchange->kept_bits};
    const int is_dense = qmcu_is_dense(m->pixel_bytes, m->channels, exchange->bits) &&
                         qmcu_is_dense(kept_bytes, m->channels, exchange->kept_bits);
    const int32_t run = is_dense ? region.right - region.left : 1; /* pixels taken together */
    for (int32_t y = region.top; y < region.bottom; ++y) {
        for (int32_t x = region.left; x < region.right; x += run) {
            const ptrdiff_t pixel = (ptrdiff_t)(y % m->kept_rows) * m->width + x;
            int8_t *kept = patch->arena + m->kept + pixel * kept_bytes;
            int8_t *in_tile = qmcu_target_pixel(&tile, y, x);
            if (into_tile) {
                qmcu_carry(kept, 0, in_tile, 0, run * m->channels, &take);
            } else {
                qmcu_carry(in_tile, 0, kept, 0, run * m->channels, &give);
            }
        }
    }
}

void qmcu_take(const qmcu_patch_t *patch, int32_t map, const qmcu_exchange_t *exchange)
{
    if (exchange->take == NULL) {
        qmcu_enter(patch, map);
    } else {
        exchange_region(patch, map, qmcu_taken(patch, map), exchange, 1);
    }
}

void qmcu_give(const qmcu_patch_t *patch, int32_t map, const qmcu_exchange_t *exchange)
{
    if (exchange->give == NULL) {
        qmcu_leave(patch, map);
    } else if (patch->row + 1 < patch->segment->row_steps) {
        exchange_region(patch, map, qmcu_given(patch, map), exchange, 0);
    }
}
