/* xtensa_start.S: reset and exceptions of an lx106 in QEMU's machine "sim". An exception ends the program with 100 plus
 * its cause (Xtensa ISA manual, EXCCAUSE); PS.EXCM is set from reset, so every one takes the vector of double ones. */
    .section .reset, "ax"
    .global _reset
_reset:
    j start

    .section .vectors, "ax"
    .org 0x30
    j fault
    .org 0x50
    j fault
    .org 0x70
    j fault
fault:
    rsr a3, exccause
    addi a3, a3, 100
    movi a2, 1
    simcall

    .text
    .literal_position
start:
    movi a1, __stack_top
    movi a0, 0
    call0 main
