/* widen.h: int8 values of two sources as words of 16-bit lanes, in assembly. */
#ifndef QMCU_NATIVE_CORTEXM_DSP_WIDEN_H
#define QMCU_NATIVE_CORTEXM_DSP_WIDEN_H

/* Eight values of the sources r0 and r1 to r3, in words of both in turn; r4 to r11 are overwritten. */
#define QMCU_EIGHT \
    "ldr r4, [r0], #4\n" \
    "ldr r5, [r1], #4\n" \
    "ldr r8, [r0], #4\n" \
    "ldr r9, [r1], #4\n" \
    "sxtb16 r6, r4, ror #8\n" \
    "sxtb16 r7, r5, ror #8\n" \
    "sxtb16 r4, r4\n" \
    "sxtb16 r5, r5\n" \
    "sxtb16 r10, r8, ror #8\n" \
    "sxtb16 r11, r9, ror #8\n" \
    "sxtb16 r8, r8\n" \
    "sxtb16 r9, r9\n" \
    "stm r3!, {r4-r11}\n"

#endif
