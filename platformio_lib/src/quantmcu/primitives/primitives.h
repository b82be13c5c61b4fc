/* primitives.h: declares each primitive of primitives.inc, and binds its name to a backend or to the reference. */
#ifndef QMCU_PRIMITIVES_H
#define QMCU_PRIMITIVES_H

#include "../core/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QMCU_PRIMITIVE(type, name, parameters) type qmcu_##name##__ref parameters;
#include "primitives.inc"
#undef QMCU_PRIMITIVE

#define qmcu_matvec_s8 qmcu_matvec_s8__ref
#define qmcu_sum_s8 qmcu_sum_s8__ref
#define qmcu_depthwise_s8 qmcu_depthwise_s8__ref
#define qmcu_accumulate_s8 qmcu_accumulate_s8__ref
#define qmcu_max_s8 qmcu_max_s8__ref
#define qmcu_requant_s8 qmcu_requant_s8__ref
#define qmcu_requant_once_s8 qmcu_requant_once_s8__ref
#define qmcu_lookup_s8 qmcu_lookup_s8__ref
#define qmcu_add_s8 qmcu_add_s8__ref
#define qmcu_mul_s8 qmcu_mul_s8__ref
#define qmcu_unpack_unsigned qmcu_unpack_unsigned__ref
#define qmcu_unpack_signed qmcu_unpack_signed__ref
#define qmcu_pack qmcu_pack__ref
#define qmcu_matvec_packed qmcu_matvec_packed__ref
#define qmcu_carry qmcu_carry__ref

#ifdef __cplusplus
}
#endif

#endif
