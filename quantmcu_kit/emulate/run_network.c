/* run_network.c: runs a generated library on an emulated board. Inputs come from the console until these end, straight
 * into their places: in the arena or, where the library pulls its input, in memory that is not the board's, as if a
 * camera held them. For each, the outputs go back, and the cycles of the run as a 64-bit number.
 * network.h, written beside this file, names the library's functions and sizes. */
#include "network.h"
#include "semihosting.h"

enum { LIBRARY_ERROR = 4 };

/* At the very end of RAM: a write past it is an access outside memory. */
__attribute__((section(".arena"), aligned(ARENA_ALIGNMENT))) static int8_t arena[ARENA_BYTES];
static int8_t output[OUTPUT_BYTES];
static const struct {
    uint32_t offset, bytes;
} inputs[] = {INPUTS};

static int read_inputs(void)
{
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; ++i) {
        if (sys_read(INPUT_MEMORY + inputs[i].offset, inputs[i].bytes) != 0) {
            return 0;
        }
    }
    return 1;
}

int main(void)
{
    while (read_inputs()) {
        const uint64_t start = sys_elapsed();
        const int status = RUN;
        const uint64_t cycles = sys_elapsed() - start;
        if (status != 0) {
            return LIBRARY_ERROR;
        }
        sys_write(output, sizeof output);
        sys_write(&cycles, sizeof cycles);
    }
    return 0;
}
