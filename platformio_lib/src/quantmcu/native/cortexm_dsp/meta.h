/* meta.h: the primitives that this backend replaces: qmcu_<name>__dsp is what qmcu_<name> means.
 *
 * SMLAD and its kin, UMLAL, SMMLAR; loads of words and halfwords that need not be aligned. */
#if QMCU_HAVE_DSP && !defined(QMCU_NATIVE_CORTEXM_DSP_META_H) /* of native.h, which includes this */
#define QMCU_NATIVE_CORTEXM_DSP_META_H

#define QMCU_NATIVE_add_s8 1
#define QMCU_NATIVE_add_runs 1
#define QMCU_NATIVE_accumulate_s8 1
#define QMCU_NATIVE_max_s8 1
#define QMCU_NATIVE_widen_pair 1
#define QMCU_NATIVE_widen_pair_summed 1
#define QMCU_NATIVE_tiles_s8 1
#define QMCU_NATIVE_tiles_s4 1
#define QMCU_NATIVE_tiles_line 1
#define QMCU_NATIVE_widen_row 1
#define QMCU_NATIVE_widen_row_summed 1
#define QMCU_NATIVE_rows_s8 1
#define QMCU_NATIVE_rows_s4 1
#define QMCU_NATIVE_dot_nibbles 1
#define QMCU_NATIVE_dot_nibbles_u2 1
#define QMCU_NATIVE_field_words_u4 1
#define QMCU_NATIVE_field_words_u2 1
#define QMCU_NATIVE_field_rows_i4 1
#define QMCU_NATIVE_store_limited 1
#define QMCU_NATIVE_widen_nines 1
#define QMCU_NATIVE_pair_rows 1
#define QMCU_NATIVE_planes_row 1
#define QMCU_NATIVE_planes_rows_3 1
#define QMCU_NATIVE_planes_lanes_3 1
#define QMCU_NATIVE_store_quads 1
#define QMCU_NATIVE_poly_words 1
#define QMCU_NATIVE_poly_row 1
#define QMCU_NATIVE_store_staged 1
#define QMCU_NATIVE_outer_words_u4x2 1
#define QMCU_NATIVE_outer_words_u4x3 1
#define QMCU_NATIVE_outer_words_u2x2 1
#define QMCU_NATIVE_outer_words_u2x3 1
#define QMCU_NATIVE_outer_words_u2x4 1
#define QMCU_NATIVE_outer_sums 1
#define QMCU_NATIVE_outer_bytes 1
#define QMCU_NATIVE_outer_tile_i4 1
#define QMCU_NATIVE_outer_tile_i2 1
#define QMCU_NATIVE_outer_tile_i2x4 1

#endif
