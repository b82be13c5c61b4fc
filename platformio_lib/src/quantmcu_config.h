/* quantmcu_config.h: every compile-time knob of the runtime, documented in place. */
#ifndef QUANTMCU_CONFIG_H
#define QUANTMCU_CONFIG_H

/* QMCU_CHANNEL_BLOCK: int32 accumulators that a kernel keeps on the stack at a time (4 bytes each). A larger block
 * means fewer passes over the input window; 32 costs 128 bytes of stack. */
#ifndef QMCU_CHANNEL_BLOCK
#define QMCU_CHANNEL_BLOCK 32
#endif

/* QMCU_SMALL_CODE: Arduino cores compile with -Os, with which these loops take a third longer on a Cortex-M4.
 * GCC is therefore asked for -O2 in the runtime's files, 600 bytes more for a network; 1 leaves -Os as it is. */
#ifndef QMCU_SMALL_CODE
#define QMCU_SMALL_CODE 0
#endif
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE_SIZE__) && !QMCU_SMALL_CODE
#pragma GCC optimize("O2")
#endif

/* QMCU_PORTABLE: 1 leaves out what is written for one kind of processor: everything is portable C. A program that makes
 * a Cortex-M trap unaligned accesses (CCR.UNALIGN_TRP) sets it. */
#ifndef QMCU_PORTABLE
#define QMCU_PORTABLE 0
#endif

/* QMCU_REQUIRE_NATIVE: 1 makes it an error to compile kernels that were chosen for a processor's own instructions where
 * the compiler's target does not have these. Else portable loops do the same, slower. */
#ifndef QMCU_REQUIRE_NATIVE
#define QMCU_REQUIRE_NATIVE 0
#endif

#include "quantmcu/namespace.h"

/* QMCU_PACKED: 0 leaves out what reads and writes values of 4 and 2 bits. A generated library sets it in namespace.h. */
#ifndef QMCU_PACKED
#define QMCU_PACKED 1
#endif

/* QMCU_NATIVE: 0 if no kernel has anything but portable loops. A generated library sets it in namespace.h. */
#ifndef QMCU_NATIVE
#define QMCU_NATIVE 1
#endif

#endif
