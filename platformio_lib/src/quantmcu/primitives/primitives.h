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
#define qmcu_requant_s8 qmcu_requant_s8__ref

#ifdef __cplusplus
}
#endif

#endif
