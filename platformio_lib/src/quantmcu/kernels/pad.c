/* pad.c: fills the output with the value, then copies the input into it row by row. */
#include "pad.h"

#include <string.h>

void qmcu_pad(const qmcu_pad_t *layer, const int8_t *in, int8_t *out)
{
    const ptrdiff_t out_row = (ptrdiff_t)layer->out.w * layer->out.c;
    const int whole_rows = layer->in.c == layer->out.c;
    const int32_t runs = whole_rows ? 1 : layer->in.w; /* contiguous runs of an input row */
    const ptrdiff_t run = whole_rows ? (ptrdiff_t)layer->in.w * layer->in.c : layer->in.c;
    memset(out, layer->value, (size_t)(layer->out.h * out_row));
    out += layer->before.h * out_row + (ptrdiff_t)layer->before.w * layer->out.c + layer->before.c;
    for (int32_t y = 0; y < layer->in.h; ++y) {
        for (int32_t x = 0; x < runs; ++x) {
            memcpy(out + (ptrdiff_t)x * layer->out.c, in, (size_t)run);
            in += run;
        }
        out += out_row;
    }
}
