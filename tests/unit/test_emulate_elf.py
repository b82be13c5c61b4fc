"""What is refused as a program, and what is read of one."""

import builtins
import shutil
import subprocess

import pytest

from quantmcu_kit.emulate.elf import Image
from quantmcu_kit.errors import EXIT_BAD_INPUT, EXIT_ENVIRONMENT, QmkitError
from tests.support.firmware import SMALL, image, line_of

SOURCE = """
static const int8_t table[100] = {1, 2, 3};
static int8_t zeroed[200];
static int32_t stored[3] = {1, 2, 3};
__attribute__((section(".arena"), aligned(16))) static int8_t arena[320];
int __attribute__((noinline)) middle(int i) {
    return table[i] + zeroed[i] + stored[i & 1] + arena[i]; }
int main(void) { int8_t i; sys_read(&i, 1); zeroed[i] = arena[i] = 1; stored[i & 1] = i; return middle(i); }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return image(SOURCE, tmp_path_factory.mktemp("elf"))


def test_sections_and_sizes(program):
    sizes = program.sizes
    assert sizes.arena == 320 and 12 <= sizes.data < 40 and 200 <= sizes.bss < 240
    assert 100 <= sizes.rodata < 600 and 100 < sizes.code < 2000
    assert program.symbols["__stack_bottom"] == SMALL.ram_start
    assert program.symbols["__stack_top"] == SMALL.ram_start + SMALL.stack_bytes
    arena = program.section(".arena")
    assert arena.address + arena.size == SMALL.ram_start + SMALL.ram_bytes


def test_functions_and_lines(program):
    address = program.symbols["middle"] & ~1
    function = program.function_at(address)
    assert function.name == "middle" and function.start == address < function.end
    assert program.function_at(0x7FFFFFF0) is None
    assert program.place(address).startswith("middle at ")
    assert program.source_line(address).endswith(
        (f"program.c:{line_of(SOURCE, 'int __attribute__')}", f"program.c:{line_of(SOURCE, 'return table')}")
    )


def test_literals_are_no_code(program):
    for section, regions in program.code:
        assert all(section.address <= a < b <= section.address + section.size for a, b in regions)


def test_other_files_are_refused(tmp_path):
    text = tmp_path / "notes.elf"
    text.write_text("not a program")
    cut = tmp_path / "cut.elf"
    cut.write_bytes(image("int main(void) { return 0; }", tmp_path).path.read_bytes()[:200])
    for path in (text, cut, tmp_path / "absent.elf", tmp_path):
        with pytest.raises(QmkitError) as caught:
            Image(path)
        assert (caught.value.code, caught.value.exit_code) == ("not-an-elf", EXIT_BAD_INPUT), path


def test_damaged_programs_are_refused_or_read(tmp_path):
    """Every byte of the headers, overwritten: an error of ours or an image, nothing else."""
    data = image("int main(void) { return 0; }", tmp_path).path.read_bytes()
    target = tmp_path / "damaged.elf"
    for position in [*range(52), *range(len(data) - 400, len(data), 7)]:
        target.write_bytes(data[:position] + b"\xff" + data[position + 1 :])
        try:
            assert Image(target).sizes is not None
        except QmkitError as error:
            assert error.code in ("not-an-elf", "wrong-architecture")


def test_program_for_this_pc_is_refused(tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler for this machine")
    (tmp_path / "x.c").write_text("int main(void) { return 0; }")
    subprocess.run([compiler, tmp_path / "x.c", "-o", tmp_path / "x.elf"], check=True)
    with pytest.raises(QmkitError) as caught:
        Image(tmp_path / "x.elf")
    assert caught.value.code == "wrong-architecture" and "Cortex-M" in caught.value.message


@pytest.mark.parametrize("package", ["unicorn", "elftools"])
def test_missing_package_names_the_command(package, tmp_path, monkeypatch):
    from quantmcu_kit.emulate.machine import Machine

    program = image("int main(void) { return 0; }", tmp_path)
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    if package == "elftools":
        monkeypatch.setattr("importlib.import_module", refuse)
    with pytest.raises(QmkitError) as caught:
        Image(program.path)
        Machine(program, "cortex-m4f", SMALL, clock_hz=1)
    assert (caught.value.code, caught.value.exit_code) == ("emulator-missing", EXIT_ENVIRONMENT)
    assert caught.value.hint == 'pip install "quantmcu-kit[emulator]"'
