/* semihosting.h: console, clock and exit of a program on an emulated board, or under a debugger.
 * Source: Arm, "Semihosting for AArch32 and AArch64", 2.0. Without a debugger a real board stops at the first call. */
#ifndef QMKIT_SEMIHOSTING_H
#define QMKIT_SEMIHOSTING_H

#include <stddef.h>
#include <stdint.h>

enum {
    SYS_OPEN = 0x01,
    SYS_WRITE0 = 0x04,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_EXIT_EXTENDED = 0x20,
    SYS_ELAPSED = 0x30,
    SYS_STOPPED_APPLICATION_EXIT = 0x20026
};

static inline int32_t sys_call(int32_t operation, const void *parameter)
{
    register int32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = parameter;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

/* Prints a text that ends with a zero byte. */
static inline void sys_write0(const char *text)
{
    sys_call(SYS_WRITE0, text);
}

/* The console, opened for reading (mode 0) or writing (mode 4); no handle is 0. */
static inline uint32_t sys_console(uint32_t mode)
{
    static const char name[] = ":tt";
    static uint32_t handles[2];
    uint32_t *const handle = &handles[mode != 0];
    if (*handle == 0) {
        const uint32_t block[] = {(uint32_t)(uintptr_t)name, mode, sizeof name - 1};
        *handle = (uint32_t)sys_call(SYS_OPEN, block);
    }
    return *handle;
}

/* Prints bytes. */
static inline void sys_write(const void *data, size_t bytes)
{
    const uint32_t block[] = {sys_console(4), (uint32_t)(uintptr_t)data, (uint32_t)bytes};
    sys_call(SYS_WRITE, block);
}

/* Reads bytes from the console. Returns how many are missing because the input ended. */
static inline size_t sys_read(void *data, size_t bytes)
{
    uint8_t *next = (uint8_t *)data;
    size_t missing = bytes;
    for (;;) {
        const uint32_t block[] = {sys_console(0), (uint32_t)(uintptr_t)next, (uint32_t)missing};
        const size_t left = missing == 0 ? 0 : (size_t)sys_call(SYS_READ, block);
        if (left == 0 || left >= missing) {
            return missing < left ? missing : left;
        }
        next += missing - left;
        missing = left;
    }
}

/* Clock ticks since the start; modelled cycles of the core on an emulated board. */
static inline uint64_t sys_elapsed(void)
{
    uint64_t ticks = 0;
    sys_call(SYS_ELAPSED, &ticks);
    return ticks;
}

/* Ends the program. */
static inline void __attribute__((noreturn)) sys_exit(int32_t code)
{
    const uint32_t block[] = {SYS_STOPPED_APPLICATION_EXIT, (uint32_t)code};
    for (;;) {
        sys_call(SYS_EXIT_EXTENDED, block);
    }
}

#endif
