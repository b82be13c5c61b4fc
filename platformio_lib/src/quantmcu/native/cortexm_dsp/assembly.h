/* assembly.h: what functions in assembly share: slots for values that have no register, in the FPU's registers or,
 * where there is none, on the stack. */
#ifndef QMCU_NATIVE_CORTEXM_DSP_ASSEMBLY_H
#define QMCU_NATIVE_CORTEXM_DSP_ASSEMBLY_H

#define QMCU_UNUSED __attribute__((unused))

#pragma GCC diagnostic ignored "-Woverlength-strings" /* C99 promises no more than 4095 characters */

/* Between QMCU_SPILL_BEGIN and QMCU_SPILL_END, slots 0..11 hold words, or 0..15 between those that end on _16: s0..s15
 * need not be saved by a function. */
#define QMCU_SPILL(slot, from) QMCU_SPILL_1(slot, from) /* the slot may be a macro */
#define QMCU_FILL(to, slot) QMCU_FILL_1(to, slot)
#ifdef __ARM_FP
#define QMCU_SPILL_BEGIN ""
#define QMCU_SPILL_END ""
#define QMCU_SPILL_BEGIN_16 ""
#define QMCU_SPILL_END_16 ""
#define QMCU_SPILL_1(slot, from) "vmov s" #slot ", " from "\n"
#define QMCU_FILL_1(to, slot) "vmov " to ", s" #slot "\n"
#else
#define QMCU_SPILL_BEGIN "sub sp, sp, #48\n"
#define QMCU_SPILL_END "add sp, sp, #48\n"
#define QMCU_SPILL_BEGIN_16 "sub sp, sp, #64\n"
#define QMCU_SPILL_END_16 "add sp, sp, #64\n"
#define QMCU_SPILL_1(slot, from) "str " from ", [sp, #4*" #slot "]\n"
#define QMCU_FILL_1(to, slot) "ldr " to ", [sp, #4*" #slot "]\n"
#endif

#endif
