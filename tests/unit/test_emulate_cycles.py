"""Cycles on emulated boards: counters, layers, flash, against programs counted by hand."""

import struct

import pytest

from quantmcu_kit.emulate.cores import find_core
from quantmcu_kit.emulate.elf import Image
from quantmcu_kit.emulate.firmware import compile_firmware
from quantmcu_kit.emulate.flash import FlashWaits
from quantmcu_kit.emulate.machine import Layers, Machine
from quantmcu_kit.emulate.toolchain import find_toolchain
from tests.support.firmware import CLOCK_HZ, SMALL, image, machine

# Ten instructions of one cycle between two reads of a counter, each a load of 2 cycles. The nop keeps the first read
# from waiting for its address.
TICKS = """
static uint32_t __attribute__((noinline, naked)) measure(volatile uint32_t *counter) {
    __asm volatile(
        "mov r3, r0\\n nop\\n ldr r1, [r3]\\n"
        "adds r2, r2, #1\\n adds r2, r2, #1\\n adds r2, r2, #1\\n adds r2, r2, #1\\n adds r2, r2, #1\\n"
        "adds r2, r2, #1\\n adds r2, r2, #1\\n adds r2, r2, #1\\n adds r2, r2, #1\\n adds r2, r2, #1\\n"
        "ldr r0, [r3]\\n subs r0, r0, r1\\n bx lr\\n"); }
"""


def test_cycle_counter_is_exact_within_a_block(tmp_path):
    source = (
        TICKS
        + """
    int main(void) {
        *(volatile uint32_t *)0xE000EDFC = 1u << 24;
        volatile uint32_t *const cyccnt = (volatile uint32_t *)0xE0001004;
        uint32_t got[3];
        got[0] = *cyccnt;                             /* it stands still until it is enabled */
        *(volatile uint32_t *)0xE0001000 = 1;
        got[1] = measure(cyccnt);
        *cyccnt = 1000000;
        got[2] = *cyccnt;
        sys_write(got, sizeof got);
        return 0; }
    """
    )
    run = machine(source, tmp_path).run()
    still, ticks, after = struct.unpack("<III", run.output)
    assert still == 0
    assert ticks == 2 + 10  # the first load's 2 cycles and ten additions
    assert 1000000 <= after < 1000000 + 20


def test_a_cortex_m0plus_has_no_cycle_counter(tmp_path):
    source = """
    int main(void) { *(volatile uint32_t *)0xE0001000 = 1;
        uint32_t got = *(volatile uint32_t *)0xE0001004; sys_write(&got, 4); return 0; }
    """
    assert machine(source, tmp_path, "cortex-m0plus").run().output == bytes(4)


def test_systick_counts_down_and_flags_its_wrap(tmp_path):
    source = (
        TICKS
        + """
    int main(void) {
        volatile uint32_t *const tick = (volatile uint32_t *)0xE000E010;
        tick[1] = 9999; tick[2] = 0; tick[0] = 5;
        uint32_t got[4];
        got[0] = (uint32_t)0 - measure(tick + 2);
        got[1] = tick[0];
        for (volatile int i = 0; i < 5000; ++i) {}
        got[2] = tick[0];
        got[3] = tick[0];
        sys_write(got, sizeof got);
        return 0; }
    """
    )
    down, before, wrapped, again = struct.unpack("<IIII", machine(source, tmp_path).run().output)
    assert down == 12 and before == 5
    assert wrapped == 5 | 1 << 16 and again == 5


LAYERED = """
typedef struct { int rounds; } layer_t;
static const layer_t k00 = {10}, k02 = {1000};
static volatile int sink;
static void __attribute__((noinline)) inner(int rounds) {
    __asm volatile("1: subs %0, #1\\n bne 1b" : "+r"(rounds) : : "cc"); }
static void __attribute__((noinline)) kernel(const layer_t *layer) { inner(layer->rounds); sink = -1; }
"""
# The calls are made from another source: its code is the network's.
NETWORK = """
extern const void *const constants[2];
extern void (*const kernel_of)(const void *);
int run_network(void);
int run_network(void) { kernel_of(constants[0]); kernel_of(constants[1]); kernel_of(constants[0]); return 0; }
"""
GLUE = """
int run_network(void);
const void *const constants[2] = {&k00, &k02};
void (*const kernel_of)(const void *) = (void (*)(const void *))kernel;
int main(void) { return run_network(); }
"""


@pytest.fixture(scope="module")
def layered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("net")
    (folder / "net.c").write_text(NETWORK)
    (folder / "main.c").write_text(LAYERED + GLUE)
    target = folder / "x.elf"
    sources = [folder / "net.c", folder / "main.c"]
    compile_firmware(find_toolchain(), find_core("cortex-m4f"), SMALL, sources, target=target)
    return Image(target), Layers({"k00": 1, "k02": 3}, f"{folder.name}/net.c")


@pytest.mark.parametrize("native", [True, False])
def test_cycles_by_layer(layered, native):
    program, layers = layered
    run = Machine(program, "cortex-m4f", SMALL, clock_hz=CLOCK_HZ, layers=layers, native=native).run()
    other, first, second, third = run.layer_cycles
    assert other + first + second + third == run.cycles == sum(cycles for _, cycles in run.functions)
    assert second == 0
    # Layer 1 runs twice with 10 rounds, layer 3 once with 1000: the same code, so its loop costs the same per round.
    per_round = (third - first / 2) / 990
    assert per_round == 1 + 1 + 2  # subtraction, branch, refill
    assert first < 2 * (10 * per_round + 60)


def test_both_counters_agree(layered):
    program, layers = layered
    runs = [
        Machine(program, core, SMALL, clock_hz=CLOCK_HZ, layers=layers, native=native).run()
        for core in ("cortex-m4f", "cortex-m7")
        for native in (True, False)
    ]
    for native, python in (runs[:2], runs[2:]):
        for name in ("output", "cycles", "instructions", "functions", "layer_cycles", "stack_bytes"):
            assert getattr(native, name) == getattr(python, name), name


SUM_OF_FLASH = """
static const uint32_t table[256] = {1};
int main(void) { const volatile uint32_t *p = table; uint32_t sum = 0;
    for (int i = 0; i < ROUNDS; ++i) sum += p[i * STEP % 256];
    return (int)(sum - sum); }
"""


def flash_cycles(source, folder, flash_waits):
    program = image(source, folder)
    return Machine(program, "cortex-m4f", SMALL, clock_hz=CLOCK_HZ, flash_waits=flash_waits).run().cycles


def test_uncached_flash_waits_for_loads_and_branches(tmp_path):
    source = """
    static const uint32_t table[1] = {1};
    int main(void) { register const uint32_t *p __asm("r2") = table; register int rounds __asm("r3") = 100;
        __asm volatile("1: ldr r1, [r2]\\n subs r3, #1\\n bne 1b" : "+r"(rounds) : "r"(p) : "r1", "cc", "memory");
        return 0; }
    """
    first, second, third = (flash_cycles(source, tmp_path, waits) for waits in (None, FlashWaits(1), FlashWaits(5)))
    # A hundred loads, at least 99 taken branches, and the start-up code around them.
    assert 199 <= second - first < 260
    assert third - first == 5 * (second - first)


@pytest.mark.parametrize(
    ("step", "rounds", "missed"),
    [
        (0, 1000, 1),  # one unit again and again
        (2, 128, 128),  # each of the table's 128 units of 8 bytes once
        (1, 256, 128),  # two words of each unit
        (8, 1000, 1000),  # one unit of each of 32 lines, again and again: more lines than the cache has
        (64, 1000, 4),  # four lines
    ],
)
def test_cached_flash_waits_for_what_its_data_cache_does_not_hold(step, rounds, missed, tmp_path):
    """Eight lines of 32 bytes, filled by 8: the loads that miss are counted by hand."""
    source = SUM_OF_FLASH.replace("ROUNDS", str(rounds)).replace("STEP", str(step))
    program = image(source, tmp_path)
    cached = FlashWaits(7, read_bytes=8, code_lines=64, data_lines=8, line_bytes=32)
    waits, none = (
        dict(Machine(program, "cortex-m4f", SMALL, clock_hz=CLOCK_HZ, flash_waits=w).run().functions)["main"]
        for w in (cached, FlashWaits(0))
    )
    # All code fits its cache, so each of its units waits once; literals and the table are data.
    main = program.function_at(program.symbols["main"] & ~1)
    units = (main.end - 1) // 8 - main.start // 8 + 1
    assert missed <= (waits - none) / 7 <= missed + units + 4


@pytest.fixture(scope="module")
def one_load(tmp_path_factory):
    """Loads a word at the offset that it reads."""
    source = """
    static uint32_t words[4];
    int main(void) { uint8_t offset = 0; sys_read(&offset, 1);
        register uintptr_t p __asm("r2") = (uintptr_t)words + offset; uint32_t v;
        __asm volatile("nop\\n ldr %0, [%1]\\n nop" : "=r"(v) : "r"(p) : "memory");
        return 0; }
    """
    return machine(source, tmp_path_factory.mktemp("load"))


@pytest.mark.parametrize(("offset", "extra"), [(1, 2), (2, 1), (3, 2)])
def test_unaligned_loads_cost_what_the_manual_says(offset, extra, one_load):
    """TRM of the Cortex-M4, 3.3.2: a word at an odd address takes two cycles more, at an odd halfword one."""
    aligned, shifted = (one_load.run(bytes([o])).cycles for o in (0, offset))
    assert shifted - aligned == extra
