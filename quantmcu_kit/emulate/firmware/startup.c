/* startup.c: from reset to main() and out again, on any Cortex-M. The symbols come from board.ld. */
#include <stdint.h>

#include "semihosting.h"

extern uint32_t __stack_top[], __data_load[], __data_start[], __data_end[], __bss_start[], __bss_end[];
extern void (*const __init_array_start[])(void);
extern void (*const __init_array_end[])(void);

int main(void);

#define VTOR (*(volatile uintptr_t *)0xE000ED08u)
#define CPACR (*(volatile uint32_t *)0xE000ED88u)

typedef void (*handler_t)(void);
static const handler_t vectors[16];

static __attribute__((noreturn)) void start(void)
{
    uint32_t *to = __data_start;
    for (const uint32_t *from = __data_load; to < __data_end; ++from, ++to) {
        *to = *from;
    }
    for (to = __bss_start; to < __bss_end; ++to) {
        *to = 0;
    }
    for (handler_t const *constructor = __init_array_start; constructor < __init_array_end; ++constructor) {
        (*constructor)();
    }
    sys_exit(main());
}

/* Does nothing that could need the FPU before it is on. A core without a VTOR ignores the write. */
void __attribute__((noreturn)) reset_handler(void)
{
    VTOR = (uintptr_t)vectors;
#ifdef __ARM_FP
    CPACR |= 0xFu << 20; /* full access to coprocessors 10 and 11 */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    start();
}

/* Every exception ends the program with code 1: there are no interrupts, so each is a fault. */
static __attribute__((noreturn)) void fault(void)
{
    sys_write0("fault: the program was stopped by an exception\n");
    sys_exit(1);
}

static const handler_t __attribute__((section(".vectors"), used)) vectors[16] = {
    (handler_t)(uintptr_t)__stack_top,
    reset_handler,
    fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault,
};
