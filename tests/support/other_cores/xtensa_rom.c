/* xtensa_rom.c: arithmetic that GCC's library for the lx106 leaves to the ROM of the ESP8266. */
#include <stdint.h>

uint32_t __udivsi3(uint32_t dividend, uint32_t divisor)
{
    uint32_t quotient = 0;
    uint64_t rest = 0;
    for (int bit = 31; bit >= 0; --bit) {
        rest = (rest << 1) | ((dividend >> bit) & 1);
        if (rest >= divisor) {
            rest -= divisor;
            quotient |= (uint32_t)1 << bit;
        }
    }
    return quotient;
}

int32_t __divsi3(int32_t dividend, int32_t divisor)
{
    const uint32_t a = dividend < 0 ? 0u - (uint32_t)dividend : (uint32_t)dividend;
    const uint32_t b = divisor < 0 ? 0u - (uint32_t)divisor : (uint32_t)divisor;
    const uint32_t quotient = __udivsi3(a, b);
    return (int32_t)((dividend < 0) != (divisor < 0) ? 0u - quotient : quotient);
}

/* By halves of 16 bits; the upper halves only matter to the upper word. */
int64_t __muldi3(int64_t a, int64_t b)
{
    const uint32_t a_low = (uint32_t)a, b_low = (uint32_t)b;
    const uint32_t low = (a_low & 0xFFFF) * (b_low & 0xFFFF);
    const uint32_t left = (a_low >> 16) * (b_low & 0xFFFF) + (low >> 16); /* at most (2^16 - 1)^2 + 2^16 - 1 < 2^32 */
    const uint32_t right = (a_low & 0xFFFF) * (b_low >> 16) + (left & 0xFFFF);
    const uint32_t cross = a_low * (uint32_t)((uint64_t)b >> 32) + (uint32_t)((uint64_t)a >> 32) * b_low;
    const uint32_t high = (a_low >> 16) * (b_low >> 16) + (left >> 16) + (right >> 16) + cross;
    return (int64_t)((uint64_t)high << 32 | (right << 16 | (low & 0xFFFF)));
}
