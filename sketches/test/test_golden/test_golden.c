/* The golden test of the library that `make demo` writes. */
#include "../../../build/demo/digits/test/test_golden/test_golden.c"
