/* resize_nearest_neighbor.c: pixel by pixel; an output row that repeats the one before is copied whole. */
#include "resize_nearest_neighbor.h"

#include <string.h>

void qmcu_resize_nearest_neighbor(const qmcu_resize_nearest_neighbor_t *layer, const int8_t *in, int8_t *out)
{
    const size_t pixel = (size_t)layer->in.c, out_row = pixel * (size_t)layer->out.w;
    for (int32_t y = 0; y < layer->out.h; ++y) {
        if (y > 0 && layer->rows[y] == layer->rows[y - 1]) {
            memcpy(out, out - out_row, out_row);
            out += out_row;
            continue;
        }
        const int8_t *row = in + (ptrdiff_t)layer->rows[y] * layer->in.w * layer->in.c;
        for (int32_t x = 0; x < layer->out.w; ++x) {
            memcpy(out, row + (ptrdiff_t)layer->columns[x] * layer->in.c, pixel);
            out += pixel;
        }
    }
}
