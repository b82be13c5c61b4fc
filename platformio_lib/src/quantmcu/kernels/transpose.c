/* transpose.c: writes in order, reads with strides. */
#include "transpose.h"

void qmcu_transpose(const qmcu_transpose_t *layer, const int8_t *in, int8_t *out)
{
    const qmcu_shape_t size = layer->out, stride = layer->stride;
    for (int32_t y = 0; y < size.h; ++y) {
        for (int32_t x = 0; x < size.w; ++x) {
            const int8_t *from = in + ((ptrdiff_t)y * stride.h + (ptrdiff_t)x * stride.w);
            for (int32_t c = 0; c < size.c; ++c) {
                out[c] = from[(ptrdiff_t)c * stride.c];
            }
            out += size.c;
        }
    }
}
