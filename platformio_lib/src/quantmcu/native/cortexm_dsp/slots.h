/* slots.h: where assembly keeps what does not fit into core registers: in registers s0 to s15 of the FPU, which a
 * function may overwrite, or on the stack. QMCU_ENTER is the first line of a function, QMCU_LEAVE its last one.
 * Arguments from number 4 on are at [sp, QMCU_ARGUMENT(number)]; a function may overwrite them. */
#ifndef QMCU_NATIVE_CORTEXM_DSP_SLOTS_H
#define QMCU_NATIVE_CORTEXM_DSP_SLOTS_H

/* Parameters of a function that is all assembly are in registers: C may not even mention them. The assembly is one
 * string, longer than C99 asks compilers to take. */
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Woverlength-strings"

#if defined(__ARM_FP)
#define QMCU_ENTER "push {r4-r11, lr}\n"
#define QMCU_LEAVE "pop {r4-r11, pc}\n"
#define QMCU_PUT(slot, reg) "vmov s" #slot ", " #reg "\n"
#define QMCU_GET(reg, slot) "vmov " #reg ", s" #slot "\n"
#define QMCU_ARGUMENT(index) "#36 + 4 * (" #index " - 4)"
#else
#define QMCU_ENTER "push {r4-r11, lr}\nsub sp, sp, #40\n"
#define QMCU_LEAVE "add sp, sp, #40\npop {r4-r11, pc}\n"
#define QMCU_PUT(slot, reg) "str " #reg ", [sp, #4 * " #slot "]\n"
#define QMCU_GET(reg, slot) "ldr " #reg ", [sp, #4 * " #slot "]\n"
#define QMCU_ARGUMENT(index) "#76 + 4 * (" #index " - 4)"
#endif

#endif
