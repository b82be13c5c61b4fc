/* primitives.h: declares each primitive of primitives.inc, and binds its name to a backend or to the reference. */
#ifndef QMCU_PRIMITIVES_H
#define QMCU_PRIMITIVES_H

#include "../core/field_rows.h"
#include "../core/outer.h"
#include "../core/pairs.h"
#include "../core/planes.h"
#include "../core/poly.h"
#include "../core/types.h"
#include "../native/native.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QMCU_PRIMITIVE(type, name, parameters) type qmcu_##name##__ref parameters;
#include "primitives.inc"
#undef QMCU_PRIMITIVE

#if QMCU_HAVE_DSP
#define QMCU_PRIMITIVE(type, name, parameters) type qmcu_##name##__dsp parameters;
#include "primitives.inc"
#undef QMCU_PRIMITIVE
#endif

/* QMCU_BOUND(name): qmcu_<name>__dsp where a backend's meta.h says `#define QMCU_NATIVE_<name> 1`, else
 * qmcu_<name>__ref: a 1 becomes a comma, which moves the former to the second place. */
#define QMCU_BOUND(name) QMCU_BOUND_1(QMCU_NATIVE_##name, qmcu_##name##__dsp, qmcu_##name##__ref)
#define QMCU_BOUND_1(native, dsp, ref) QMCU_BOUND_2(native, dsp, ref)
#define QMCU_BOUND_2(native, dsp, ref) QMCU_BOUND_3(QMCU_IS_##native dsp, ref, ~)
#define QMCU_BOUND_3(first, second, end) QMCU_BOUND_4(first, second, end)
#define QMCU_BOUND_4(first, second, ...) second
#define QMCU_IS_1 ~,

#define qmcu_matvec_s8 qmcu_matvec_s8__ref
#define qmcu_sum_s8 qmcu_sum_s8__ref
#define qmcu_depthwise_s8 qmcu_depthwise_s8__ref
#define qmcu_accumulate_s8 QMCU_BOUND(accumulate_s8)
#define qmcu_max_s8 QMCU_BOUND(max_s8)
#define qmcu_requant_s8 qmcu_requant_s8__ref
#define qmcu_requant_once_s8 qmcu_requant_once_s8__ref
#define qmcu_lookup_s8 qmcu_lookup_s8__ref
#define qmcu_add_s8 QMCU_BOUND(add_s8)
#define qmcu_add_runs QMCU_BOUND(add_runs)
#define qmcu_mul_s8 qmcu_mul_s8__ref
#define qmcu_unpack_unsigned qmcu_unpack_unsigned__ref
#define qmcu_unpack_signed qmcu_unpack_signed__ref
#define qmcu_pack qmcu_pack__ref
#define qmcu_matvec_packed qmcu_matvec_packed__ref
#define qmcu_carry qmcu_carry__ref
#define qmcu_lookup_pairs qmcu_lookup_pairs__ref

/* Primitives that backends have: #define qmcu_<name> QMCU_BOUND(<name>) */
#define qmcu_pair_rows QMCU_BOUND(pair_rows)
#define qmcu_planes_row QMCU_BOUND(planes_row)
#define qmcu_planes_lanes_3 QMCU_BOUND(planes_lanes_3)
#define qmcu_planes_rows_3 QMCU_BOUND(planes_rows_3)
#define qmcu_store_quads QMCU_BOUND(store_quads)
#define qmcu_poly_words QMCU_BOUND(poly_words)
#define qmcu_poly_row QMCU_BOUND(poly_row)
#define qmcu_store_staged QMCU_BOUND(store_staged)
#define qmcu_widen_pair QMCU_BOUND(widen_pair)
#define qmcu_widen_pair_summed QMCU_BOUND(widen_pair_summed)
#define qmcu_tiles_s8 QMCU_BOUND(tiles_s8)
#define qmcu_tiles_s4 QMCU_BOUND(tiles_s4)
#define qmcu_tiles_line QMCU_BOUND(tiles_line)
#define qmcu_widen_row QMCU_BOUND(widen_row)
#define qmcu_widen_row_summed QMCU_BOUND(widen_row_summed)
#define qmcu_rows_s8 QMCU_BOUND(rows_s8)
#define qmcu_rows_s4 QMCU_BOUND(rows_s4)
#define qmcu_field_words_u4 QMCU_BOUND(field_words_u4)
#define qmcu_field_words_u2 QMCU_BOUND(field_words_u2)
#define qmcu_dot_nibbles QMCU_BOUND(dot_nibbles)
#define qmcu_dot_nibbles_u2 QMCU_BOUND(dot_nibbles_u2)
#define qmcu_field_rows_i4 QMCU_BOUND(field_rows_i4)
#define qmcu_store_limited QMCU_BOUND(store_limited)
#define qmcu_widen_nines QMCU_BOUND(widen_nines)
#define qmcu_outer_words_u4x2 QMCU_BOUND(outer_words_u4x2)
#define qmcu_outer_words_u4x3 QMCU_BOUND(outer_words_u4x3)
#define qmcu_outer_words_u2x2 QMCU_BOUND(outer_words_u2x2)
#define qmcu_outer_words_u2x3 QMCU_BOUND(outer_words_u2x3)
#define qmcu_outer_words_u2x4 QMCU_BOUND(outer_words_u2x4)
#define qmcu_outer_sums QMCU_BOUND(outer_sums)
#define qmcu_outer_bytes QMCU_BOUND(outer_bytes)
#define qmcu_outer_tile_i4 QMCU_BOUND(outer_tile_i4)
#define qmcu_outer_tile_i2 QMCU_BOUND(outer_tile_i2)
#define qmcu_outer_tile_i2x4 QMCU_BOUND(outer_tile_i2x4)

#ifdef __cplusplus
}
#endif

#endif
