"""Programs of emulated boards, run on QEMU: start-up code, memory map, C library, and what does not compile."""

import itertools
import struct
from pathlib import Path

import pytest

from quantmcu_kit.boards import catalog
from quantmcu_kit.emulate.cores import CORES, find_core
from quantmcu_kit.emulate.firmware import MemoryMap, compile_firmware
from quantmcu_kit.errors import EXIT_FAILED, QmkitError
from tests.support.cross import STACK, cross_compiler, qemu_memory, run_program
from tests.support.libraries import built, sources
from tests.support.small_graphs import classifier

M4 = find_core("cortex-m4f")
KINDS = ["gcc", "zig"]
# zig builds its support functions once per core, which takes seconds: one core is enough for a test.
BUILDS = [("gcc", core) for core in CORES] + [("zig", M4)]

START_UP = """
#include <stdio.h>
static int zeroed[3];
static volatile int initialized = 42;
static volatile double d = 6.0;
static volatile float f = 1.5f;
static volatile unsigned long long big = 0x123456789ABCDEFull;
static volatile unsigned divisor = 12345;
int main(void)
{
    const int ok = zeroed[0] == 0 && zeroed[2] == 0 && initialized == 42 && f * 2.0f == 3.0f && d / 4.0 == 1.5 &&
                   big / divisor == 0x123456789ABCDEFull / 12345u;
    puts(ok ? "all right" : "wrong");
    return 7;
}
"""

# Every length and alignment up to 40 bytes, against loops over volatile bytes.
LIBRARY = """
#include <stdio.h>
#include <stdint.h>
#include <string.h>
enum { SPACE = 64, LENGTHS = 40 };
static uint8_t got[SPACE], want[SPACE], other[SPACE];
static void prepare(void)
{
    for (volatile int i = 0; i < SPACE; ++i) {
        got[i] = want[i] = (uint8_t)(i * 7 + 1);
        other[i] = (uint8_t)(200 - i);
    }
}
static int differ(void)
{
    for (volatile int i = 0; i < SPACE; ++i) {
        if (got[i] != want[i]) {
            return 1;
        }
    }
    return 0;
}
static int check(size_t to, size_t from, size_t n)
{
    volatile uint8_t copy[SPACE];
    int failures = 0;
    prepare();
    for (size_t i = 0; i < n; ++i) {
        ((volatile uint8_t *)want)[to + i] = other[from + i];
    }
    failures += memcpy(got + to, other + from, n) != got + to || differ();
    prepare();
    for (size_t i = 0; i < SPACE; ++i) {
        copy[i] = want[i];
    }
    for (size_t i = 0; i < n; ++i) {
        ((volatile uint8_t *)want)[to + i] = copy[from + i];
    }
    failures += memmove(got + to, got + from, n) != got + to || differ();
    prepare();
    for (size_t i = 0; i < n; ++i) {
        ((volatile uint8_t *)want)[to + i] = 0xA5;
    }
    failures += memset(got + to, 0x1A5, n) != got + to || differ();
    for (size_t i = 0; i < n; ++i) {
        ((volatile uint8_t *)want)[to + i] = 0;
    }
    memset(got + to, 0, n); /* clang has a function of its own for it */
    failures += differ();
    prepare();
    if (n > 0) {
        got[to + n - 1] ^= 0x80;
        failures += memcmp(got + to, want + to, n - 1) != 0;
        failures += (memcmp(got + to, want + to, n) < 0) != (got[to + n - 1] < want[to + n - 1]);
    }
    return failures;
}
int main(void)
{
    volatile size_t three = 3;
    int failures = strlen("abc") != three || strlen("") != 0;
    for (size_t to = 0; to < 9; ++to) {
        for (size_t from = 0; from < 9; ++from) {
            for (size_t n = 0; n < LENGTHS; ++n) {
                failures += check(to, from, n);
            }
        }
    }
    puts(failures == 0 ? "all right" : "wrong");
    return failures != 0;
}
"""

LAYOUT = """
#include <stdint.h>
__attribute__((section(".arena"), aligned(16))) volatile int8_t arena[SIZE];
volatile int8_t zeroed[ZEROED];
const int8_t table[TABLE] = {1};
const int8_t *volatile pointer = table;
int main(void)
{
    return *pointer + arena[SIZE - 1] + zeroed[1];
}
"""


def firmware(kind, core, text, folder, *, memory=None, suffix=".c", **options) -> Path:
    source = folder / f"program{suffix}"
    source.write_text(text)
    memory = memory or qemu_memory(core.name)
    return compile_firmware(cross_compiler(kind), core, memory, [source], target=folder / "firmware.elf", **options)


@pytest.mark.parametrize(("kind", "core"), BUILDS, ids=lambda value: getattr(value, "name", value))
def test_start_up_and_exit(kind, core, tmp_path):
    assert run_program(firmware(kind, core, START_UP, tmp_path), core.name) == (7, "all right\n")


@pytest.mark.parametrize(("kind", "core"), BUILDS, ids=lambda value: getattr(value, "name", value))
def test_c_library(kind, core, tmp_path):
    program = firmware(kind, core, LIBRARY, tmp_path, flags=["-std=c99"])
    assert run_program(program, core.name) == (0, "all right\n")


@pytest.mark.parametrize("kind", KINDS)
def test_golden_test_of_a_generated_library(kind, tmp_path):
    library = built(classifier(), tmp_path)
    program = compile_firmware(
        cross_compiler(kind),
        M4,
        MemoryMap(0, 1 << 20, 0x20000000, 1 << 17, 4096),
        [library / "test" / "test_golden" / "test_golden.c", *sources(library)],
        includes=[library / "src"],
        flags=["-std=c99"],
        target=tmp_path / "firmware.elf",
    )
    expected = "golden vector 0: PASS\ngolden vector 1: PASS\n"
    assert run_program(program, M4.name) == (0, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_cpp_with_constructors(kind, tmp_path):
    # The value is known at run time only: the constructor is a call, not an initialized variable.
    text = (
        "#include <stdio.h>\nstatic volatile int two = 2;\n"
        "struct Early { int value; Early() : value(two * 21) {} } early;\n"
        "int main() { puts(early.value == 42 ? MESSAGE : 0); return 0; }\n"
    )
    program = firmware(kind, M4, text, tmp_path, suffix=".cpp", defines={"MESSAGE": '"constructed"'})
    assert run_program(program, M4.name) == (0, "constructed\n")


@pytest.mark.parametrize("core", CORES, ids=lambda core: core.name)
def test_faults_end_with_code_1(core, tmp_path):
    text = 'int main(void) { __asm__ volatile("udf #1"); return 0; }\n'
    code, output = run_program(firmware("gcc", core, text, tmp_path), core.name)
    assert code == 1 and output.startswith("fault")


@pytest.mark.parametrize("kind", KINDS)
def test_memory_map(kind, tmp_path):
    elffile = pytest.importorskip("elftools.elf.elffile")
    memory = MemoryMap(0x08040000, 65536, 0x24000298, 32768, STACK)
    defines = {"SIZE": "10000", "ZEROED": "99", "TABLE": "500"}
    with open(firmware(kind, M4, LAYOUT, tmp_path, memory=memory, defines=defines), "rb") as file:
        elf = elffile.ELFFile(file)
        start = {section.name: section["sh_addr"] for section in elf.iter_sections() if section["sh_flags"] & 2}
        symbols = {symbol.name: symbol["st_value"] for symbol in elf.get_section_by_name(".symtab").iter_symbols()}
        vectors = elf.get_section_by_name(".vectors").data()
        code = [section.name for section in elf.iter_sections() if section["sh_flags"] & 4]
        loaded = [(segment["p_paddr"], segment["p_filesz"]) for segment in elf.iter_segments("PT_LOAD")]
        has_lines = elf.has_dwarf_info()
    assert start[".vectors"] == 0x08040000 and code == [".text"] and has_lines
    assert start[".stack"] == symbols["__stack_bottom"] == 0x24000298
    assert symbols["__stack_top"] == 0x24000298 + STACK == int.from_bytes(vectors[:4], "little")
    assert int.from_bytes(vectors[4:8], "little") == symbols["reset_handler"] | 1
    assert start[".stack"] < start[".data"] < start[".bss"] < start[".arena"]
    assert 0 <= 0x24000298 + 32768 - (start[".arena"] + 10000) < 16 and start[".arena"] % 16 == 0
    assert start[".rodata"] < 0x08040000 + 65536
    # What is stored lies in flash; nothing is loaded into RAM.
    assert all(0x08040000 <= address < 0x08050000 for address, size in loaded if size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("defines", "memory", "least"),
    [
        ({"SIZE": "32768"}, "RAM", STACK),  # the arena alone fills RAM: the stack is missing
        ({"SIZE": "40000"}, "RAM", 40000 + STACK - 32768),
        ({"ZEROED": "32000"}, "RAM", 32000 + 1000 + STACK - 32768),
        ({"TABLE": "65536"}, "flash", 64),
    ],
)
def test_what_does_not_fit(kind, defines, memory, least, tmp_path):
    board = MemoryMap(0x08000000, 65536, 0x20000000, 32768, STACK)
    defines = {"SIZE": "1000", "ZEROED": "9", "TABLE": "9"} | defines
    with pytest.raises(QmkitError) as caught:
        firmware(kind, M4, LAYOUT, tmp_path, memory=board, defines=defines)
    assert caught.value.code == "does-not-fit" and caught.value.exit_code == EXIT_FAILED
    words = caught.value.message.split()
    missing = int(words[words.index("bytes") - 1].replace(",", ""))
    # Start-up code, the small variables and alignment come on top.
    assert f"bytes of {memory} are missing" in caught.value.message and least <= missing < least + 2048


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("int main(void) { return undeclared; }\n", "undeclared"),
        ("int nowhere(void); int main(void) { return nowhere(); }\n", "nowhere"),
    ],
)
def test_what_does_not_compile(kind, text, says, tmp_path):
    with pytest.raises(QmkitError) as caught:
        firmware(kind, M4, text, tmp_path)
    assert caught.value.code == "compile-failed" and caught.value.exit_code == EXIT_FAILED
    assert says in caught.value.why


@pytest.mark.parametrize("kind", KINDS)
def test_small_copies_are_instructions(kind, tmp_path):
    """memcpy of a word is how C loads unaligned words: a call instead would change every cycle figure."""
    text = (
        "#include <string.h>\nvolatile char bytes[8];\n"
        "int main(void) { int word; memcpy(&word, (const char *)bytes + 1, sizeof word); return word; }\n"
    )
    elffile = pytest.importorskip("elftools.elf.elffile")
    with open(firmware(kind, M4, text, tmp_path), "rb") as file:
        elf = elffile.ELFFile(file)
        (main,) = elf.get_section_by_name(".symtab").get_symbol_by_name("main")
        section = elf.get_section(main["st_shndx"])
        start = (main["st_value"] & ~1) - section["sh_addr"]
        code = struct.unpack(f"<{main['st_size'] // 2}H", section.data()[start : start + main["st_size"]])
    # Armv7-M ARM, A5.3 and A7.7.18: BL is 11110... 11.1....
    assert code and not any(a & 0xF800 == 0xF000 and b & 0xD000 == 0xD000 for a, b in itertools.pairwise(code))


def test_memory_of_a_board():
    memory = MemoryMap.of(catalog.find("nano33ble"), stack_bytes=4096)
    # 256 KiB from 0x20000000 of which the core takes 60 KiB; 960 KiB from 0x10000 of which it takes 90 KiB.
    assert memory == MemoryMap(0x10000, (960 - 90) * 1024, 0x2000F000, (256 - 60) * 1024, 4096)


def test_folder_with_spaces(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    assert run_program(firmware("gcc", M4, START_UP, folder), M4.name)[0] == 7
