/* runs.h: values of a run, the channels of a pixel or a row of a matrix, where they lie or unpacked from 4 or 2 bits.
 *
 * Kernels take runs in blocks of QMCU_CHANNEL_BLOCK values with a buffer for each:
 *
 *     const int8_t *x = qmcu_load(pixel, bits, first, count, buffer);
 *     int8_t *y = qmcu_room(out, out_bits, first, out_buffer);
 *     ...                                                      y[0..count) from x[0..count)
 *     qmcu_store(y, count, out, out_bits, first);
 *
 * Values of 8 bits are not copied. Layout: quantmcu_kit/numerics/packing.py. */
#ifndef QMCU_PRIMITIVES_RUNS_H
#define QMCU_PRIMITIVES_RUNS_H

#include <string.h>

#include "primitives.h"

/* Values [first, first + count) of a run of a feature map. */
static inline const int8_t *qmcu_load(const int8_t *run, int32_t bits, int32_t first, int32_t count, int8_t *buffer)
{
#if QMCU_PACKED
    if (bits < 8) {
        qmcu_unpack_unsigned(run, bits, first, count, buffer);
        return buffer;
    }
#else
    (void)bits, (void)count, (void)buffer;
#endif
    return run + first;
}

/* Copies the first values of a run of a feature map. */
static inline void qmcu_fetch(const int8_t *run, int32_t bits, size_t count, int8_t *out)
{
#if QMCU_PACKED
    if (bits < 8) {
        qmcu_unpack_unsigned(run, bits, 0, (int32_t)count, out);
        return;
    }
#else
    (void)bits;
#endif
    memcpy(out, run, count);
}

/* Where values for a run are to be written from value `first` on, before qmcu_store. */
static inline int8_t *qmcu_room(int8_t *run, int32_t bits, int32_t first, int8_t *buffer)
{
#if QMCU_PACKED
    if (bits < 8) {
        return buffer;
    }
#else
    (void)bits, (void)buffer;
#endif
    return run + first;
}

/* Brings what was written to qmcu_room into the run. Within a byte, lower values must be written first: what lies above
 * the last of these values in its byte is lost. */
static inline void qmcu_store(const int8_t *values, int32_t count, int8_t *run, int32_t bits, int32_t first)
{
#if QMCU_PACKED
    if (bits < 8) {
        qmcu_pack(values, count, run, bits, first);
    }
#else
    (void)values, (void)count, (void)run, (void)bits, (void)first;
#endif
}

/* Values [first, first + count) of a run of weights. */
static inline const int8_t *qmcu_load_weights(const int8_t *run, int32_t bits, int32_t first, int32_t count,
                                              int8_t *buffer)
{
#if QMCU_PACKED
    if (bits < 8) {
        qmcu_unpack_signed(run, bits, first, count, buffer);
        return buffer;
    }
#else
    (void)bits, (void)count, (void)buffer;
#endif
    return run + first;
}

/* sum[r] = x[0..k) . values [first, first + k) of row r of weights, for `count` rows that lie `step` bytes apart. */
static inline void qmcu_matvec(const int8_t *x, const int8_t *rows, int32_t step, int32_t bits, int32_t first,
                               int32_t k, int32_t count, int32_t *sum)
{
#if QMCU_PACKED
    if (bits < 8) {
        qmcu_matvec_packed(x, rows, step, bits, first, k, count, sum);
        return;
    }
#else
    (void)bits;
#endif
    qmcu_matvec_s8(x, rows + first, step, k, count, sum);
}

#endif
