/* qemu_faults.c: does what a core may refuse; a byte from the console says what. Ends with code 0 where nothing faults.
 * Instructions that an assembler would refuse, too, are given by number. */
#include "semihosting.h"

static uint32_t words[4] = {1, 2, 3, 4};

int main(void)
{
    const uint8_t *const odd = (const uint8_t *)words + 1;
    char kind = '0';
    sys_read(&kind, 1);
    switch (kind) {
    case 'w': /* ldr r1, [r0] */
        __asm__ volatile("mov r0, %0\n\t.inst.n 0x6801" ::"r"(odd) : "r0", "r1");
        break;
    case 'l': /* ldmia r0!, {r1, r2} */
        __asm__ volatile("mov r0, %0\n\t.inst.n 0xc806" ::"r"(odd) : "r0", "r1", "r2");
        break;
    case 'd': /* ldrd r1, r2, [r0] */
        __asm__ volatile("mov r0, %0\n\t.inst.w 0xe9d01200" ::"r"(odd) : "r0", "r1", "r2");
        break;
    case 'q': /* udiv r0, r0, r0 */
        __asm__ volatile("movs r0, #1\n\t.inst.w 0xfbb0f0f0" ::: "r0", "cc");
        break;
    case 's': /* smuad r0, r0, r0 */
        __asm__ volatile(".inst.w 0xfb20f000" ::: "r0");
        break;
    case 'f': /* vadd.f32 s0, s0, s0 */
        __asm__ volatile(".inst.w 0xee300a00");
        break;
    case 'u': /* udf #0 */
        __asm__ volatile(".inst.n 0xde00");
        break;
    case 'c': /* svc #0 */
        __asm__ volatile(".inst.n 0xdf00");
        break;
    case 'a': /* nothing is there */
        (void)*(volatile uint32_t *)0xB0000000u;
        break;
    case 'j': /* nor is there code */
        ((void (*)(void))0xB0000001u)();
        break;
    case 'b': /* a branch to an even address: into the state of other Arm cores */
        ((void (*)(void))((uintptr_t)main & ~(uintptr_t)1))();
        break;
    default:
        break;
    }
    return 0;
}
