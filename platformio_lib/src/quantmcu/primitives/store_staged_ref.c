/* store_staged_ref.c: portable packing of eight channels of each pixel; they wait so that two words make the result. */
#include "../core/poly.h"
#include "primitives.h"
#include "words.h"

/* The highest bits of eight channels, packed: byte i of a word begins with channel 2i (4 bits), or with 0, 4, 2, 6. */
static inline uint32_t packed(const int8_t *values, int32_t bits)
{
    const uint32_t first = qmcu_word_at(values), second = qmcu_word_at(values + 4);
    if (bits == 4) {
        return ((first >> 4) & 0x0f0f0f0fu) | (second & 0xf0f0f0f0u);
    }
    const uint32_t word = ((first >> 6) & 0x03030303u) | ((second >> 4) & 0x0c0c0c0cu);
    return (word | word >> 12) & 0xffffu;
}

void qmcu_store_staged__ref(const qmcu_staged_t *staged, int8_t *out, int32_t pixel_bytes)
{
    const int8_t *values = staged->values;
    const int32_t bits = staged->bits, bytes = (staged->channels * bits + 7) >> 3;
    for (int32_t i = 0; i < staged->count; ++i, values += QMCU_POLY_STAGED, out += pixel_bytes) {
        if (bits == 8) {
            for (int32_t c = 0; c < bytes; ++c) {
                out[c] = (int8_t)(values[c] ^ -128);
            }
            continue;
        }
        const uint32_t word = packed(values, bits);
        for (int32_t byte = 0; byte < bytes; ++byte) {
            out[byte] = (int8_t)(uint8_t)(word >> (8 * byte));
        }
    }
}
