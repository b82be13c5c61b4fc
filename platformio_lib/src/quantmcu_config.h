/* quantmcu_config.h: every compile-time knob of the runtime, documented in place. */
#ifndef QUANTMCU_CONFIG_H
#define QUANTMCU_CONFIG_H

/* QMCU_CHANNEL_BLOCK: int32 accumulators that a kernel keeps on the stack at a time (4 bytes each). A larger block
 * means fewer passes over the input window; 32 costs 128 bytes of stack. */
#ifndef QMCU_CHANNEL_BLOCK
#define QMCU_CHANNEL_BLOCK 32
#endif

#include "quantmcu/namespace.h"

#endif
