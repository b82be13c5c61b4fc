/* assembly.h: what functions in assembly share: slots for values that have no register, in the FPU's registers s0 to s15,
 * which a function may overwrite, or, where there is no FPU, on the stack. */
#ifndef QMCU_NATIVE_CORTEXM_DSP_ASSEMBLY_H
#define QMCU_NATIVE_CORTEXM_DSP_ASSEMBLY_H

/* Parameters of a function that is all assembly are in registers: C may not even mention them. The assembly is one
 * string, longer than C99 asks compilers to take. */
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Woverlength-strings"

/* Between QMCU_SPILL_BEGIN and QMCU_SPILL_END, slots 0..11 hold words, or 0..15 between those that end on _16. Slots may
 * be macros, registers are strings. */
#define QMCU_SPILL(slot, from) QMCU_SPILL_1(slot, from)
#define QMCU_FILL(to, slot) QMCU_FILL_1(to, slot)
#ifdef __ARM_FP
#define QMCU_SPILL_BEGIN ""
#define QMCU_SPILL_END ""
#define QMCU_SPILL_BEGIN_16 ""
#define QMCU_SPILL_END_16 ""
#define QMCU_SPILL_1(slot, from) "vmov s" #slot ", " from "\n"
#define QMCU_FILL_1(to, slot) "vmov " to ", s" #slot "\n"
#define QMCU_ENTER "push {r4-r11, lr}\n"
#define QMCU_LEAVE "pop {r4-r11, pc}\n"
#define QMCU_ARGUMENT(index) "#36 + 4 * (" #index " - 4)"
#else
#define QMCU_SPILL_BEGIN "sub sp, sp, #48\n"
#define QMCU_SPILL_END "add sp, sp, #48\n"
#define QMCU_SPILL_BEGIN_16 "sub sp, sp, #64\n"
#define QMCU_SPILL_END_16 "add sp, sp, #64\n"
#define QMCU_SPILL_1(slot, from) "str " from ", [sp, #4*" #slot "]\n"
#define QMCU_FILL_1(to, slot) "ldr " to ", [sp, #4*" #slot "]\n"
#define QMCU_ENTER "push {r4-r11, lr}\nsub sp, sp, #40\n"
#define QMCU_LEAVE "add sp, sp, #40\npop {r4-r11, pc}\n"
#define QMCU_ARGUMENT(index) "#76 + 4 * (" #index " - 4)"
#endif

/* Between QMCU_ENTER, the first line of a function, and QMCU_LEAVE, its last one, slots are numbers up to 9 and registers
 * names. Arguments from number 4 on are at [sp, QMCU_ARGUMENT(number)]; a function may overwrite them. */
#define QMCU_PUT(slot, reg) QMCU_SPILL_1(slot, #reg)
#define QMCU_GET(reg, slot) QMCU_FILL_1(#reg, slot)

#endif
