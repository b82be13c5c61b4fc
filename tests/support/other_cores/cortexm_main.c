/* cortexm_main.c: inputs from the console until these end, outputs to the console. */
#include "semihosting.h"

enum { LIBRARY_ERROR = 4 };

extern const uint32_t network_input_bytes, network_output_bytes;
extern int8_t network_input[], network_output[];
int network_run(void);

int main(void)
{
    while (sys_read(network_input, network_input_bytes) == 0) {
        if (network_run() != 0) {
            return LIBRARY_ERROR;
        }
        sys_write(network_output, network_output_bytes);
    }
    return 0;
}
