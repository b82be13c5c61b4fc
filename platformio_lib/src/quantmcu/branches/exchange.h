/* exchange.h: rows that are kept for patches below, where patches are of several branch classes.
 *
 * Kept rows hold values of class 0, whoever computed them. Patches of another class, whose maps have other widths and
 * scales, turn what they save into these, and what comes back into their own. */
#ifndef QMCU_BRANCHES_EXCHANGE_H
#define QMCU_BRANCHES_EXCHANGE_H

#include "../core/patch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The two ways between a class's values of a map and kept ones: table[bits of a value]. NULL: they are alike. */
typedef struct {
    const int8_t *give; /* [2^bits], kept values */
    const int8_t *take; /* [2^kept_bits], values of the class */
    uint8_t bits, kept_bits;
} qmcu_exchange_t;

/* qmcu_enter and qmcu_leave of a map with kept rows; `exchange` is that of the patch's class. */
void qmcu_take(const qmcu_patch_t *patch, int32_t map, const qmcu_exchange_t *exchange);
void qmcu_give(const qmcu_patch_t *patch, int32_t map, const qmcu_exchange_t *exchange);

#ifdef __cplusplus
}
#endif

#endif
