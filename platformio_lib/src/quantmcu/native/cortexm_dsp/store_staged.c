/* store_staged.c: packing of eight channels of each pixel on Cortex-M, where all eight go out. */
#include "../../core/poly.h"
#include "../../primitives/primitives.h"
#include "../../primitives/words.h"

#if QMCU_HAVE_DSP
static inline void put_4(const int8_t *values, int8_t *out)
{
    const uint32_t first = qmcu_word_at(values), second = qmcu_word_at(values + 4);
    qmcu_put_word(((first >> 4) & 0x0f0f0f0fu) | (second & 0xf0f0f0f0u), out);
}

static inline void put_2(const int8_t *values, int8_t *out)
{
    const uint32_t first = qmcu_word_at(values), second = qmcu_word_at(values + 4);
    const uint32_t word = ((first >> 6) & 0x03030303u) | ((second >> 4) & 0x0c0c0c0cu);
    const uint16_t half = (uint16_t)(word | word >> 12);
    memcpy(out, &half, sizeof half);
}

static inline void put_8(const int8_t *values, int8_t *out)
{
    qmcu_put_word(qmcu_word_at(values) ^ 0x80808080u, out);
    qmcu_put_word(qmcu_word_at(values + 4) ^ 0x80808080u, out + 4);
}

/* Two pixels at a time. */
#define STORE_ALL(put)                                                                                                 \
    for (; left >= 2; left -= 2, values += 2 * QMCU_POLY_STAGED, out += 2 * pixel_bytes) {                             \
        put(values, out);                                                                                              \
        put(values + QMCU_POLY_STAGED, out + pixel_bytes);                                                             \
    }                                                                                                                  \
    if (left > 0) {                                                                                                    \
        put(values, out);                                                                                              \
    }

void qmcu_store_staged__dsp(const qmcu_staged_t *staged, int8_t *out, int32_t pixel_bytes)
{
    const int8_t *values = staged->values;
    int32_t left = staged->count;
    if (staged->channels < QMCU_POLY_BLOCK) {
        qmcu_store_staged__ref(staged, out, pixel_bytes);
    } else if (staged->bits == 4) {
        STORE_ALL(put_4)
    } else if (staged->bits == 2) {
        STORE_ALL(put_2)
    } else {
        STORE_ALL(put_8)
    }
}
#endif
