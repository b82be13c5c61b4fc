/* binary.c: walks over rows, so that one value per channel may meet a map; over pixels where a map is packed. */
#include "binary.h"

#include "values.h"

#define BLOCK (2 * QMCU_CHANNEL_BLOCK) /* values unpacked together: a call takes as long as ten or so of them */

#if defined(__GNUC__)
#define NOT_INLINED __attribute__((noinline))
#else
#define NOT_INLINED
#endif

static int is_packed(const qmcu_walk_t *walk)
{
    return QMCU_PACKED && (walk->a_bits < 8 || walk->b_bits < 8 || walk->out_bits < 8);
}

static int with_scalar(const qmcu_walk_t *walk)
{
    return walk->rows > 1 && walk->columns == 1;
}

/* A run of `values` values, unpacked block by block. Not part of run_packed, whose other way has blocks of its own: the
 * stack would hold both. */
NOT_INLINED static void run_blocks(const qmcu_walk_t *walk, const qmcu_binary_t *apply, const void *scaling,
                                   const int8_t *a, const int8_t *b, int32_t values, int8_t *out)
{
    const int a_is_one = with_scalar(walk) && walk->a_stride == 0, b_is_one = with_scalar(walk) && walk->b_stride == 0;
    int8_t a_values[BLOCK], b_values[BLOCK], out_values[BLOCK];
    for (int32_t first = 0; first < values; first += BLOCK) {
        const int32_t left = values - first, n = left < BLOCK ? left : BLOCK;
        const int8_t *x = qmcu_load_operand(a, walk->a_bits, a_is_one, first, n, a_values);
        const int8_t *y = qmcu_load_operand(b, walk->b_bits, b_is_one, first, n, b_values);
        int8_t *to = qmcu_room(out, walk->out_bits, first, out_values);
        apply->of_bytes(x, y, scaling, n, to);
        qmcu_store(to, n, out, walk->out_bits, first);
    }
}

/* A run of `values` values where a map is packed. */
static void run_packed(const qmcu_walk_t *walk, const qmcu_binary_t *apply, const void *scaling, const int8_t *a,
                       const int8_t *b, int32_t values, int8_t *out)
{
    const int is_map_with_map = !with_scalar(walk) || (walk->a_stride != 0 && walk->b_stride != 0);
    if (apply->of_runs != NULL && is_map_with_map) {
        apply->of_runs(walk, a, b, scaling, values, out);
    } else {
        run_blocks(walk, apply, scaling, a, b, values, out);
    }
}

/* Pixel after pixel where a map is packed, or all together where no bits are between them. */
static void run_pixels(const qmcu_walk_t *walk, const qmcu_binary_t *apply, const void *scaling, const int8_t *a,
                       const int8_t *b, int8_t *out)
{
    const int32_t channels = walk->channels, values = walk->rows * walk->columns;
    const int32_t out_step = qmcu_run_bytes(channels, walk->out_bits);
    const int32_t a_step = walk->rows > 1 && walk->a_stride == 0 ? 0 : qmcu_run_bytes(channels, walk->a_bits);
    const int32_t b_step = walk->rows > 1 && walk->b_stride == 0 ? 0 : qmcu_run_bytes(channels, walk->b_bits);
    const int contiguous = qmcu_is_dense(a_step, channels, walk->a_bits) &&
                           qmcu_is_dense(b_step, channels, walk->b_bits) &&
                           qmcu_is_dense(out_step, channels, walk->out_bits);
    const int32_t run = contiguous ? values : channels;
    for (int32_t left = values; left > 0; left -= run) {
        run_packed(walk, apply, scaling, a, b, run, out);
        a += a_step;
        b += b_step;
        out += out_step;
    }
}

void qmcu_binary(const qmcu_walk_t *walk, const qmcu_binary_t *apply, const void *scaling, const int8_t *a,
                 const int8_t *b, int8_t *out)
{
    if (is_packed(walk)) {
        run_pixels(walk, apply, scaling, a, b, out);
        return;
    }
    for (int32_t row = 0; row < walk->rows; ++row) {
        apply->of_bytes(a, b, scaling, walk->columns, out);
        a += walk->a_stride;
        b += walk->b_stride;
        out += walk->columns;
    }
}

void qmcu_binary_part(const qmcu_walk_t *walk, const qmcu_binary_t *apply, const void *scaling,
                      const qmcu_part_t *part)
{
    const qmcu_region_t region = part->region;
    const qmcu_source_t a = qmcu_operand(&part->in, walk->rows > 1 && walk->a_stride == 0);
    const qmcu_source_t b = qmcu_operand(&part->other, walk->rows > 1 && walk->b_stride == 0);
    const int32_t channels = part->out.channels;
    const int contiguous = qmcu_is_dense(a.pixel_bytes, channels, walk->a_bits) &&
                           qmcu_is_dense(b.pixel_bytes, channels, walk->b_bits) &&
                           qmcu_is_dense(part->out.pixel_bytes, channels, walk->out_bits);
    const int32_t run = contiguous ? region.right - region.left : 1; /* pixels taken together */
    const int is_scalar = with_scalar(walk);
    qmcu_walk_t piece = *walk; /* a run */
    piece.rows = is_scalar ? channels : 1;
    piece.columns = is_scalar ? 1 : run * channels;
    for (int32_t y = region.top; y < region.bottom; ++y) {
        for (int32_t x = region.left; x < region.right; x += run) {
            const int8_t *from_a = qmcu_source_pixel(&a, y, x), *from_b = qmcu_source_pixel(&b, y, x);
            int8_t *to = qmcu_target_pixel(&part->out, y, x);
            if (is_packed(walk)) {
                run_packed(walk, apply, scaling, from_a, from_b, run * channels, to);
            } else {
                qmcu_binary(&piece, apply, scaling, from_a, from_b, to);
            }
        }
    }
}
