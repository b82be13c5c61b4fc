/* runner.c: runs a generated library on inputs from standard input, until these end, and writes the outputs to standard
 * output; both are raw bytes without separators. With tracing, a record precedes for each layer, or for each piece of a
 * row that a patch computes of it: int32 layer, row (ALL_ROWS for the whole layer), column, bytes; and these bytes.
 * Before the pieces of a patch of one of several branch classes: ~segment, row and column of the patch, 1; and the class.
 * runner_config.h, written beside this file, names the library's functions and sizes. */
#include "runner_config.h"

#include <stdio.h>
#include <string.h>
#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

enum { RUNS = 0, SHORT_INPUT = 3, LIBRARY_ERROR = 4, WRITE_ERROR = 5 };

#define ARENA_FILL 0xA5 /* a run must not depend on what an earlier one left */

__attribute__((aligned(ARENA_ALIGNMENT))) static int8_t arena[ARENA_BYTES];
#ifdef EXTERNAL_BYTES
__attribute__((aligned(ARENA_ALIGNMENT))) static int8_t external[EXTERNAL_BYTES];
#endif
static int8_t input[INPUT_BYTES];
static int8_t output[OUTPUT_BYTES];

#ifdef TRACE_FUNCTION
enum { ALL_ROWS = -1 };

static void write_record(int layer, int32_t row, int32_t column, const int8_t *data, size_t bytes)
{
    const int32_t header[4] = {(int32_t)layer, row, column, (int32_t)bytes};
    fwrite(header, sizeof header, 1, stdout);
    fwrite(data, 1, bytes, stdout);
}

void TRACE_FUNCTION(int layer, const int8_t *data, size_t bytes)
{
    write_record(layer, ALL_ROWS, 0, data, bytes);
}

/* Called by libraries that run layers patch by patch; others do not declare it. */
void TRACE_ROW_FUNCTION(int layer, int32_t row, int32_t column, const int8_t *data, size_t bytes);
void TRACE_ROW_FUNCTION(int layer, int32_t row, int32_t column, const int8_t *data, size_t bytes)
{
    write_record(layer, row, column, data, bytes);
}

/* Called by libraries with branch classes. */
void TRACE_CLASS_FUNCTION(int segment, int32_t row, int32_t column, int branch);
void TRACE_CLASS_FUNCTION(int segment, int32_t row, int32_t column, int branch)
{
    const int8_t number = (int8_t)branch;
    write_record(~segment, row, column, &number, 1);
}
#endif

static int run(int is_pixels)
{
    memset(arena, ARENA_FILL, sizeof arena);
#ifdef EXTERNAL_BYTES
    memset(external, ARENA_FILL, sizeof external);
#endif
    return is_pixels ? RUN_PIXELS : RUN_QUANTIZED;
}

int main(int argc, char **argv)
{
    const int is_pixels = argc > 1 && strcmp(argv[1], "pixels") == 0;
    size_t got;
#ifdef _WIN32
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
#endif
    while ((got = fread(input, 1, sizeof input, stdin)) == sizeof input) {
        const int status = run(is_pixels);
        if (status != 0) {
            fprintf(stderr, "the library returned %d\n", status);
            return LIBRARY_ERROR;
        }
        if (fwrite(output, 1, sizeof output, stdout) != sizeof output) {
            return WRITE_ERROR;
        }
    }
    return got == 0 ? RUNS : SHORT_INPUT;
}
