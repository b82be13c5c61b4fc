// The same test on a board.
#include "../../../build/demo/digits/test/test_golden/test_golden_arduino.cpp"
