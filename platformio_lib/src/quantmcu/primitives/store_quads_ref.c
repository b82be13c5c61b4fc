/* store_quads_ref.c: portable clamping and packing of four channels of each pixel. */
#include "../core/planes.h"
#include "primitives.h"

void qmcu_store_quads__ref(const qmcu_quads_t *quads, int8_t *out, int32_t pixel_bytes)
{
    const int8_t *staged = quads->staged;
    for (int32_t i = 0; i < quads->count; ++i, staged += QMCU_BLOCK, out += pixel_bytes) {
        uint32_t packed = 0;
        for (int32_t c = 0; c < quads->values; ++c) {
            const int32_t raised = staged[c] < quads->low ? quads->low : staged[c];
            const uint32_t y = (uint8_t)(raised > quads->high ? quads->high : raised);
            packed |= y << (c * quads->bits);
        }
        for (int32_t bits = quads->values * quads->bits, byte = 0; bits > 0; bits -= 8, ++byte) {
            out[byte] = (int8_t)(uint8_t)(packed >> (8 * byte));
        }
    }
}
