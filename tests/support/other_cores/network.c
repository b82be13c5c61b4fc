/* network.c: one generated library between two buffers. network.h, written beside the program, names its functions and
 * sizes. The input begins with a byte that chooses pixels, so that the data itself lies at an odd address. */
#include "network.h"

#include <string.h>

#define ARENA_FILL 0xA5 /* a run must not depend on what an earlier one left */
#define INPUT(offset) place(network_input, 1 + (offset))
#define OUTPUT(offset) place(network_output, offset)

const uint32_t network_input_bytes = INPUT_BYTES;
const uint32_t network_output_bytes = OUTPUT_BYTES;
int8_t network_input[INPUT_BYTES];
int8_t network_output[OUTPUT_BYTES];
static __attribute__((aligned(ARENA_ALIGNMENT))) int8_t arena[ARENA_BYTES];

/* A call for each argument keeps basic blocks short: unicorn 2.1's MIPS crashes in blocks of some 250 additions. */
static __attribute__((noinline)) int8_t *place(int8_t *buffer, uint32_t offset)
{
    return buffer + offset;
}

int network_run(void)
{
    memset(arena, ARENA_FILL, sizeof arena);
    return network_input[0] ? RUN_PIXELS : RUN_QUANTIZED;
}

/* Shows that a core refuses what the library must not do. */
int load_unaligned(void)
{
    static volatile int offset = 1; /* compilers work around what they see */
    return *(const volatile int32_t *)(const volatile void *)(arena + offset);
}
