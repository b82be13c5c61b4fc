/* xtensa_main.c: inputs from standard input until these end, outputs to standard output, through QEMU's SIMCALL: the
 * call's number in a2, its arguments from a3, the result in a2. */
#include <stddef.h>
#include <stdint.h>

enum { CALL_EXIT = 1, CALL_READ = 3, CALL_WRITE = 4 };
enum { SHORT_INPUT = 3, LIBRARY_ERROR = 4 };

extern const uint32_t network_input_bytes, network_output_bytes;
extern int8_t network_input[], network_output[];
int network_run(void);
int load_unaligned(void);

static int32_t simcall(int32_t number, int32_t file, const void *data, size_t bytes)
{
    register int32_t a2 __asm__("a2") = number;
    register int32_t a3 __asm__("a3") = file;
    register const void *a4 __asm__("a4") = data;
    register size_t a5 __asm__("a5") = bytes;
    __asm__ volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
    return a2;
}

/* Bytes that were moved; fewer than asked for where the file ends. */
static size_t transfer(int32_t number, int32_t file, int8_t *data, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        const int32_t moved = simcall(number, file, data + done, bytes - done);
        if (moved <= 0) {
            break;
        }
        done += (size_t)moved;
    }
    return done;
}

static __attribute__((noreturn)) void leave(int32_t code)
{
    for (;;) {
        simcall(CALL_EXIT, code, NULL, 0);
    }
}

void main(void)
{
    size_t got;
    while ((got = transfer(CALL_READ, 0, network_input, network_input_bytes)) == network_input_bytes) {
        if (network_run() != 0) {
            leave(LIBRARY_ERROR);
        }
        transfer(CALL_WRITE, 1, network_output, network_output_bytes);
    }
    if (got == 1) {
        leave(load_unaligned());
    }
    leave(got == 0 ? 0 : SHORT_INPUT);
}
