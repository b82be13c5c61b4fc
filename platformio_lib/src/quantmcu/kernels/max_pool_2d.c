/* max_pool_2d.c: the maximum grows in the output, pixel by pixel of a window within the image. */
#include "max_pool_2d.h"

#include <string.h>

#include "../core/window.h"
#include "../primitives/primitives.h"

void qmcu_max_pool_2d(const qmcu_max_pool_2d_t *layer, const int8_t *in, int8_t *out)
{
    const int32_t channels = layer->in.c;
    for (int32_t oy = 0; oy < layer->out.h; ++oy) {
        for (int32_t ox = 0; ox < layer->out.w; ++ox) {
            const qmcu_window_t window = qmcu_window(layer->in, layer->window, layer->stride, layer->pad, oy, ox);
            memset(out, layer->low, (size_t)channels); /* the lower clamp */
            for (int32_t y = window.top; y < window.bottom; ++y) {
                for (int32_t x = window.left; x < window.right; ++x) {
                    qmcu_max_s8(in + ((ptrdiff_t)y * layer->in.w + x) * channels, channels, out);
                }
            }
            for (int32_t c = 0; c < channels; ++c) {
                out[c] = out[c] > layer->high ? layer->high : out[c];
            }
            out += channels;
        }
    }
}
