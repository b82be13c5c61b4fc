/* values.h: values of maps of any width, for kernels that move, add up or join them. */
#ifndef QMCU_PRIMITIVES_VALUES_H
#define QMCU_PRIMITIVES_VALUES_H

#include <string.h>

#include "runs.h"

/* How many of `left` values to take together: all of them at 8 bits, where nothing is copied. */
static inline int32_t qmcu_block(int32_t left, int32_t bits)
{
    return QMCU_PACKED && bits < 8 && left > QMCU_CHANNEL_BLOCK ? QMCU_CHANNEL_BLOCK : left;
}

/* Whether pixels that are so many bytes apart follow one another without a bit between them. */
static inline int qmcu_is_dense(int32_t pixel_bytes, int32_t channels, int32_t bits)
{
    return QMCU_PACKED ? pixel_bytes * 8 == channels * bits : pixel_bytes == channels;
}

/* qmcu_carry for an operator that never changes values of 8 bits: a copy. */
static inline void qmcu_move(const int8_t *from, int32_t first, int8_t *to, int32_t place, int32_t count,
                             const qmcu_carry_t *rule)
{
#if QMCU_PACKED
    qmcu_carry(from, first, to, place, count, rule);
#else
    (void)rule;
    memcpy(to + place, from + first, (size_t)count);
#endif
}

/* qmcu_carry of a whole run by a table. */
static inline void qmcu_tabulate(const int8_t *from, int32_t count, const qmcu_carry_t *rule, int8_t *to)
{
#if QMCU_PACKED
    qmcu_carry(from, 0, to, 0, count, rule);
#else
    qmcu_lookup_s8(from, rule->table, count, to);
#endif
}

/* Values of other widths by a table, in place; NULL: they stay. */
static inline void qmcu_look_up(const int8_t *table, int32_t count, int8_t *values)
{
#if QMCU_PACKED
    if (table != NULL) {
        qmcu_lookup_s8(values, table, count, values);
    }
#else
    (void)table, (void)count, (void)values;
#endif
}

/* Adds values [first, first + count) of a run to sum[0..count). */
static inline void qmcu_accumulate(const int8_t *run, int32_t bits, int32_t first, int32_t count, int32_t *sum)
{
#if QMCU_PACKED
    if (bits < 8) {
        int8_t values[QMCU_CHANNEL_BLOCK];
        for (int32_t done = 0; done < count; done += QMCU_CHANNEL_BLOCK) {
            const int32_t left = count - done, n = left < QMCU_CHANNEL_BLOCK ? left : QMCU_CHANNEL_BLOCK;
            qmcu_unpack_unsigned(run, bits, first + done, n, values);
            qmcu_accumulate_s8(values, n, sum + done);
        }
        return;
    }
#else
    (void)bits;
#endif
    qmcu_accumulate_s8(run + first, count, sum);
}

/* Values [first, first + count) of an operand's run, or its one value so many times; in `buffer` or where they lie. */
static inline const int8_t *qmcu_load_operand(const int8_t *run, int32_t bits, int is_one, int32_t first,
                                              int32_t count, int8_t *buffer)
{
    const int8_t *values = qmcu_load(run, bits, is_one ? 0 : first, is_one ? 1 : count, buffer);
    if (!is_one) {
        return values;
    }
    memset(buffer, values[0], (size_t)count);
    return buffer;
}

/* Values [first, first + count) of all pixels of a map, counted as if they followed one another without a bit between
 * them; in `buffer` or where they lie. */
static inline const int8_t *qmcu_load_values(const int8_t *map, int32_t channels, int32_t bits, int32_t first,
                                             int32_t count, int8_t *buffer)
{
#if QMCU_PACKED
    if (bits < 8) {
        const int32_t pixel_bytes = qmcu_run_bytes(channels, bits);
        const int8_t *pixel = map + (ptrdiff_t)(first / channels) * pixel_bytes;
        int32_t channel = first % channels;
        for (int32_t done = 0; done < count; pixel += pixel_bytes) {
            const int32_t n = channels - channel < count - done ? channels - channel : count - done;
            qmcu_unpack_unsigned(pixel, bits, channel, n, buffer + done);
            done += n;
            channel = 0;
        }
        return buffer;
    }
#else
    (void)channels, (void)bits, (void)count, (void)buffer;
#endif
    return map + first;
}

/* Brings what was written to qmcu_room(map, bits, first, buffer) into the map; lower values must be written first. */
static inline void qmcu_store_values(const int8_t *values, int32_t count, int8_t *map, int32_t channels, int32_t bits,
                                     int32_t first)
{
#if QMCU_PACKED
    if (bits < 8) {
        const int32_t pixel_bytes = qmcu_run_bytes(channels, bits);
        int8_t *pixel = map + (ptrdiff_t)(first / channels) * pixel_bytes;
        int32_t channel = first % channels;
        for (int32_t done = 0; done < count; pixel += pixel_bytes) {
            const int32_t n = channels - channel < count - done ? channels - channel : count - done;
            qmcu_pack(values + done, n, pixel, bits, channel);
            done += n;
            channel = 0;
        }
    }
#else
    (void)values, (void)count, (void)map, (void)channels, (void)bits, (void)first;
#endif
}

#endif
