/* scan.h: what tells the branch class of a patch from the pixels that it reads. */
#ifndef QMCU_CORE_SCAN_H
#define QMCU_CORE_SCAN_H

#include "patch.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const uint16_t *scores; /* [2^bits] of each value of the segment's input, by its bits */
    uint16_t limit;         /* a patch whose values have a higher mean score is an outlier */
    uint8_t bits;           /* of a value */
} qmcu_scan_t;

/* Whether the values of map 0 that are new in the patch score more than the limit on average. All that a patch reads is
 * new where segments keep nothing. Both sides stay below 2^32: checked when the library is built. */
int qmcu_is_outlier(const qmcu_patch_t *patch, const qmcu_scan_t *scan);

#ifdef __cplusplus
}
#endif

#endif
