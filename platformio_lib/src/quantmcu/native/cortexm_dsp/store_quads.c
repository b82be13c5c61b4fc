/* store_quads.c: clamping and packing of four channels of each pixel on Cortex-M, where all four go out in few bits. */
#include "../../core/planes.h"
#include "../../primitives/primitives.h"
#include "../../primitives/words.h"

#if QMCU_HAVE_DSP
/* Four values clamped to unsigned ones of 4 bits, and two joined in bytes 0 and 2. */
static inline uint32_t pairs_4(const int8_t *staged)
{
    uint32_t even, odd;
    __asm("sxtb16 %0, %2\n sxtb16 %1, %2, ror #8\n usat16 %0, #4, %0\n usat16 %1, #4, %1"
          : "=&r"(even), "=&r"(odd)
          : "r"(qmcu_word_at(staged)));
    return even | odd << 4;
}

static inline uint32_t pairs_2(const int8_t *staged)
{
    uint32_t even, odd;
    __asm("sxtb16 %0, %2\n sxtb16 %1, %2, ror #8\n usat16 %0, #2, %0\n usat16 %1, #2, %1"
          : "=&r"(even), "=&r"(odd)
          : "r"(qmcu_word_at(staged)));
    return even | odd << 2;
}

void qmcu_store_quads__dsp(const qmcu_quads_t *quads, int8_t *out, int32_t pixel_bytes)
{
    const int8_t *staged = quads->staged, *end = staged + quads->count * QMCU_BLOCK;
    const int32_t bits = quads->bits;
    if (bits == 8 || quads->values < QMCU_BLOCK || quads->low != 0 || quads->high != (1 << bits) - 1) {
        qmcu_store_quads__ref(quads, out, pixel_bytes);
    } else if (bits == 4) {
        for (; staged != end; staged += QMCU_BLOCK, out += pixel_bytes) {
            const uint32_t word = pairs_4(staged);
            const uint16_t half = (uint16_t)(word | word >> 8);
            memcpy(out, &half, sizeof half);
        }
    } else {
        for (; staged != end; staged += QMCU_BLOCK, out += pixel_bytes) {
            const uint32_t word = pairs_2(staged);
            *out = (int8_t)(uint8_t)(word | word >> 12);
        }
    }
}
#endif
