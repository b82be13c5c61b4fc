/* stdio.h of emulated boards: lines on the console. */
#ifndef QMKIT_STDIO_H
#define QMKIT_STDIO_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

int puts(const char *text);

#ifdef __cplusplus
}
#endif

#endif
