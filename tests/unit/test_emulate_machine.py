"""Emulated boards: console, faults with their place, stack, alignment."""

import dataclasses
import re
import struct

import pytest

from quantmcu_kit.emulate.machine import Machine
from quantmcu_kit.errors import EXIT_FAILED, QmkitError
from tests.support.firmware import CLOCK_HZ, SMALL, image, line_of, machine

CORES = ("cortex-m0plus", "cortex-m3", "cortex-m4f", "cortex-m7", "cortex-m33")
HELLO = 'int main(void) { sys_write0("hello\\n"); return 3; }\n'


@pytest.mark.parametrize("core", CORES)
def test_console_and_exit_code(core, tmp_path):
    heard = []
    run = machine(HELLO, tmp_path, core).run(output=heard.append)
    assert run.output == b"hello\n" == b"".join(heard)
    assert run.exit_code == 3 and 0 < run.instructions < run.cycles * 2


@pytest.mark.parametrize("core", CORES)
def test_every_run_starts_from_reset(core, tmp_path):
    source = """
    static int zeroed; static int stored = 5;
    int main(void) { char c = (char)('0' + ++zeroed + ++stored); sys_write(&c, 1); return 0; }
    """
    board = machine(source, tmp_path, core)
    first, second = board.run(), board.run()
    assert first.output == second.output == b"7"
    assert first.cycles == second.cycles and first.functions == second.functions


def test_input_is_read_until_it_ends(tmp_path):
    source = """
    int main(void) {
        uint8_t bytes[3]; uint32_t sum = 0;
        while (sys_read(bytes, 3) == 0) sum += bytes[0] * 65536u + bytes[1] * 256u + bytes[2];
        sys_write(&sum, 4);
        return 0;
    }
    """
    run = machine(source, tmp_path).run(bytes([0, 1, 2, 3, 4, 5, 6]))
    assert struct.unpack("<I", run.output) == (0x000102 + 0x030405,)


FAULTS = {
    "write past the arena": (
        """
        __attribute__((section(".arena"), aligned(16))) static volatile int8_t arena[64];
        int main(void) { for (int i = 0; i < 65; ++i)
            arena[i] = 1; /* here */
            return 0; }
        """,
        "write of 1 byte at 0x20008000",
        "past the end of RAM, which is where the arena ends",
    ),
    "stack overflow": (
        """
        static int __attribute__((noinline)) deeper(int depth) { volatile int32_t block[32];
            block[depth & 31] = depth; /* here */
            return deeper(depth + 1) + block[3]; }
        int main(void) { return deeper(0); }
        """,
        r"write of \d bytes? at 0x1FFFF[0-9A-F]{3}",
        "the stack of 2,048 bytes is full",
    ),
    "write to flash": (
        """
        int main(void) { volatile uint32_t *flash = (volatile uint32_t *)0x10100;
            *flash = 1; /* here */
            return 0; }
        """,
        "write of 4 bytes at 0x00010100",
        "flash cannot be written",
    ),
    "null pointer": (
        """
        int main(void) { volatile uint32_t *p = (volatile uint32_t *)8; __asm volatile("" : "+r"(p));
            return (int)*p; /* here */
        }
        """,
        "read of 4 bytes at 0x00000008",
        "a null pointer",
    ),
    "peripheral": (
        """
        int main(void) { volatile uint32_t *p = (volatile uint32_t *)0x50000504;
            *p = 1; /* here */
            return 0; }
        """,
        "write of 4 bytes at 0x50000504",
        "peripherals are not emulated",
    ),
    "undefined instruction": (
        """
        int main(void) {
            __asm volatile("udf #3"); /* here */
            return 0; }
        """,
        r"undefined instruction at 0x0001[0-9A-F]{4}",
        "a cortex-m4f does not have it",
    ),
    "supervisor call": (
        """
        int main(void) {
            __asm volatile("svc #3"); /* here */
            return 0; }
        """,
        "a supervisor call",
        "no handlers",
    ),
    "wild jump": (
        """
        int main(void) { void (*volatile f)(void) = (void (*)(void))0x20004001;
            f(); /* here */
            return 1; }
        """,
        "jump to 0x20004000",
        "overwritten",
    ),
    "console buffer": (
        """
        int main(void) {
            sys_write((const void *)0x40000000, 4); /* here */
            return 0; }
        """,
        "console call with a buffer of 4 bytes at 0x40000000",
        "a program has flash from 0x00010000 to 0x00030000",
    ),
    "reset": (
        """
        int main(void) {
            *(volatile uint32_t *)0xE000ED0C = 0x05FA0004; /* here */
            return 0; }
        """,
        "the program resets the board",
        "runs once",
    ),
    "unaligned store of two words": (
        """
        static uint32_t words[4];
        int main(void) { register uint32_t *p __asm("r2") = (uint32_t *)((uintptr_t)words + 2);
            __asm volatile("strd r0, r1, [%0]" : : "r"(p) : "memory"); /* here */
            return 0; }
        """,
        "unaligned access at 0x2000",
        "aligned to 4 bytes",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_names_what_where_and_why(name, tmp_path):
    source, message, why = FAULTS[name]
    with pytest.raises(QmkitError) as caught:
        machine(source, tmp_path).run(limit=1_000_000)
    error = caught.value
    assert (error.code, error.exit_code) == ("board-fault", EXIT_FAILED)
    assert re.search(message, error.message) and why in error.why
    place = re.search(r"^(\w+) at .*?([\w.]+):(\d+) \(pc 0x[0-9A-F]{8}\)$", error.where)
    assert place, error.where
    if place[2] == "program.c":  # a console call faults inside semihosting.h
        assert abs(int(place[3]) - line_of(source, "/* here */")) <= 1
    else:
        assert place[2] == "semihosting.h" and name == "console buffer"


def test_endless_loop_ends_with_its_place(tmp_path):
    source = 'int main(void) {\n    for (;;) {\n        __asm volatile("");\n    }\n}\n'
    with pytest.raises(QmkitError) as caught:
        machine(source, tmp_path).run(limit=100_000)
    assert caught.value.code == "board-fault" and "no end after 100,000 instructions" in caught.value.message
    assert "main at " in caught.value.where and "program.c:" in caught.value.where


UNALIGNED = """
static uint32_t words[4];
int main(void) { register uint32_t *p __asm("r2") = (uint32_t *)((uintptr_t)words + 1); uint32_t v;
    __asm volatile("ldr %0, [%1]" : "=r"(v) : "r"(p) : "memory");
    return (int)v; }
"""


def test_unaligned_load_is_a_fault_on_a_cortex_m0plus_only(tmp_path):
    with pytest.raises(QmkitError, match="unaligned access at 0x2000"):
        machine(UNALIGNED, tmp_path, "cortex-m0plus").run()
    run = machine(UNALIGNED, tmp_path).run()
    assert run.exit_code == 0 and run.unaligned == 1


def test_code_of_another_core_is_refused_where_it_runs(tmp_path):
    """A Cortex-M4 program on a Cortex-M0+: the emulator's CPU would execute it."""
    source = """
    int main(void) { int a = 3, b;
        __asm volatile("smlabb %0, %1, %1, %1" : "=r"(b) : "r"(a)); /* here */
        return b; }
    """
    program = image(source, tmp_path)
    with pytest.raises(QmkitError) as caught:
        Machine(program, "cortex-m3", SMALL, clock_hz=CLOCK_HZ).run()
    assert "undefined instruction" in caught.value.message and "a cortex-m3 does not have it" in caught.value.why
    assert f"program.c:{line_of(source, '/* here */')}" in caught.value.where


def test_program_for_other_addresses_is_refused(tmp_path):
    program = image(HELLO, tmp_path)
    elsewhere = dataclasses.replace(SMALL, flash_start=0x08000000)
    with pytest.raises(QmkitError) as caught:
        Machine(program, "cortex-m4f", elsewhere, clock_hz=CLOCK_HZ)
    assert caught.value.code == "outside-memory" and "0x08000000" in caught.value.why


def test_stack_use_is_seen(tmp_path):
    source = """
    static int __attribute__((noinline)) fill(volatile uint8_t *block, int n) {
        for (int i = 0; i < n; ++i) block[i] = 1;
        return block[2]; }
    int main(void) { uint8_t block[1000]; return fill(block, 1000) - 1; }
    """
    assert 1000 < machine(source, tmp_path).run().stack_bytes < 1000 + 100
    assert machine("int main(void) { return 0; }", tmp_path).run().stack_bytes < 64


IT_AT_A_PAGES_END = """
static uint8_t from[4] = {5, 6, 7, 8}, to[4];
static int __attribute__((naked, noinline, aligned(1024))) conditional(const uint8_t *f, uint8_t *t) {
    __asm volatile(
        ".rept 504\\n nop\\n .endr\\n"
        "movs r2, #1\\n nop\\n cmp r2, #0\\n"
        "itt ne\\n ldrbne.w r3, [r0], #1\\n strbne.w r3, [r1], #1\\n"
        "subs r2, #1\\n beq 1f\\n movs r0, #99\\n bx lr\\n"
        "1: mov r0, r3\\n bx lr\\n"); }
int main(void) { return conditional(from, to); }
"""


def test_conditional_access_at_the_end_of_a_page(tmp_path):
    """The code before an IT block may end a translated block: what follows must not begin conditionally."""
    board = machine(IT_AT_A_PAGES_END, tmp_path)
    assert board.run().exit_code == 5
    assert machine(IT_AT_A_PAGES_END, tmp_path, check_accesses=False).run().exit_code == 5


AFTER_A_CALL = """
static uint32_t words[8];
int main(void) {
    sys_write0("x");
    register uint32_t *p __asm("r2") = words;
    register uint32_t *q __asm("r3") = (uint32_t *)((uintptr_t)words + OFFSET);
    __asm volatile(
        "ldrd r0, r1, [r2]\\n"
        "ldr r0, [r3, #4]\\n"
        "ldrd r0, r1, [WHICH]" /* here */
        : : "r"(p), "r"(q) : "r0", "r1", "memory");
    return 0; }
"""


def test_alignment_after_a_console_call(tmp_path):
    """The place of an access is known after a breakpoint was served as before."""
    run = machine(AFTER_A_CALL.replace("OFFSET", "1").replace("WHICH", "r2"), tmp_path).run()
    assert (run.exit_code, run.unaligned) == (0, 1)
    source = AFTER_A_CALL.replace("OFFSET", "2").replace("WHICH", "r3")
    with pytest.raises(QmkitError) as caught:
        machine(source, tmp_path).run()
    assert "unaligned access" in caught.value.message and "aligned to 4 bytes" in caught.value.why
