"""bench, emulate and the emulated half of verify, as commands, on the example network."""

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from quantmcu_kit.boards.catalog import find
from tests.e2e.conftest import DIGITS
from tests.support import firmware

ZIG = f"{shlex.quote(sys.executable)} -m ziglang cc"
BENCH_KEYS = {
    "board", "compiler", "confidence", "cycles", "latency_ms", "macs", "layers", "stack_bytes", "code_bytes",
    "rodata_bytes", "data_bytes", "bss_bytes", "arena_bytes", "ram_bytes",
}  # fmt: skip
COMPILERS = {
    "gcc": pytest.param(
        "", marks=pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc is not installed")
    ),
    "zig": ZIG,
}


@pytest.mark.parametrize("compiler", COMPILERS.values(), ids=list(COMPILERS))
def test_bench_as_json(qmkit, library, compiler):
    result = qmkit("bench", library, "--board", "nano33ble", "--json", QMKIT_ARM_CC=compiler)
    assert result.code == 0, result.err
    facts = json.loads(result.out)
    assert set(facts) == BENCH_KEYS
    assert ("zig" in facts["compiler"]) == bool(compiler)
    assert facts["macs"] == 7_583_744 == sum(layer["macs"] for layer in facts["layers"])
    assert all(set(layer) == {"name", "op", "macs", "cycles"} for layer in facts["layers"])
    layers = sum(layer["cycles"] for layer in facts["layers"])
    # What is not a layer: the calls between them, checks, and the copy of the output.
    assert 0 < facts["cycles"] - layers < 100 * len(facts["layers"])
    # One load of a weight at least for each multiply-accumulate, and no kernel is that slow.
    assert facts["macs"] < facts["cycles"] < 30 * facts["macs"]
    assert facts["latency_ms"] == pytest.approx(facts["cycles"] / 64_000)
    assert facts["arena_bytes"] == 96_144
    assert facts["ram_bytes"] >= 96_144 + facts["stack_bytes"] and 100 < facts["stack_bytes"] < 1024
    assert 3000 < facts["code_bytes"] < 32_000 < facts["rodata_bytes"]


def test_bench_is_deterministic_and_shown(qmkit, library):
    first, second = (qmkit("bench", library) for _ in range(2))
    assert first.code == 0, first.err
    assert first.out == second.out
    for part in (
        "digits on nano33ble, cortex-m4f at 64 MHz",
        "CONV_2D",
        "between layers",
        "cycles/MAC",
        "share",
        "arena 96,144",
    ):
        assert part in first.out


def test_bench_on_every_core(qmkit, library):
    cycles = {}
    for board in ("pico", "nano33ble", "nucleo_f746zg"):
        result = qmkit("bench", library, "--board", board, "--json")
        assert result.code == 0, result.err
        cycles[board] = json.loads(result.out)["cycles"]
    assert cycles["pico"] > cycles["nano33ble"] > cycles["nucleo_f746zg"]


def test_flash_that_waits_costs(qmkit, library):
    cycles = {}
    for board in ("nano33ble", "nucleo_l4r5zi"):
        for waits in ((), ("--flash-waits",)):
            result = qmkit("bench", library, "--board", board, *waits, "--json")
            assert result.code == 0, result.err
            cycles[board, bool(waits)] = json.loads(result.out)["cycles"]
    assert cycles["nano33ble", False] == cycles["nucleo_l4r5zi", False]  # the same core
    without_cache = cycles["nano33ble", True] / cycles["nano33ble", False] - 1  # 2 wait states
    with_cache = cycles["nucleo_l4r5zi", True] / cycles["nucleo_l4r5zi", False] - 1  # 5 of them
    assert 0.02 < with_cache / 5 < without_cache / 2 < 0.5, "each wait costs less where a cache hides some"


def test_weights_in_ram_do_not_wait(qmkit, library, tmp_path):
    """The same bytes; what is copied takes RAM, and costs no cycles but those that it saves."""
    facts = {}
    for size in (0, 20_000):
        folder = tmp_path / str(size)
        arguments = ("--images", DIGITS / "calibration", "--preprocess", "pm1", "--hot-weights", size)
        result = qmkit("build", DIGITS / "digits.tflite", *arguments, "--output", folder, "--json")
        assert result.code == 0, result.err
        built = json.loads(result.out)
        for waits in ((), ("--flash-waits",)):
            result = qmkit("bench", folder, *waits, "--json")
            assert result.code == 0, result.err
            facts[size, bool(waits)] = json.loads(result.out)
        facts[size] = built
    assert facts[0]["hot_bytes"] == 0 and 15_000 < facts[20_000]["hot_bytes"] <= 20_000
    assert facts[20_000]["ram_bytes"] == facts[0]["ram_bytes"] + facts[20_000]["hot_bytes"]
    assert facts[20_000]["flash_bytes"] == facts[0]["flash_bytes"]
    assert facts[20_000, False]["data_bytes"] - facts[0, False]["data_bytes"] >= facts[20_000]["hot_bytes"]
    assert facts[20_000, False]["cycles"] == facts[0, False]["cycles"]
    assert facts[20_000, True]["cycles"] < 0.95 * facts[0, True]["cycles"]
    result = qmkit("verify", tmp_path / "20000", "--json")
    assert result.code == 0 and json.loads(result.out)["emulated"]["mismatches"] == 0, result.err


@pytest.mark.parametrize("compiler", COMPILERS.values(), ids=list(COMPILERS))
def test_verify_runs_golden_vectors_on_the_board(qmkit, library, compiler):
    result = qmkit("verify", library, "--json", QMKIT_ARM_CC=compiler)
    assert result.code == 0, result.err
    emulated = json.loads(result.out)["emulated"]
    assert (emulated["board"], emulated["vectors"], emulated["mismatches"]) == ("nano33ble", 4, 0)


def test_a_difference_on_the_board_alone_fails(qmkit, library, tmp_path):
    """A kernel that is right on the host and wrong on Cortex-M."""
    target = tmp_path / "broken"
    shutil.copytree(library, target)
    network = target / "src/digits/digits.c"
    text = network.read_text()
    broken, count = re.subn(r"memcpy\(scores, [^;]*;", r"\g<0>\n#ifdef __arm__\n    scores[0] ^= 1;\n#endif", text)
    assert count == 1
    network.write_text(broken)
    result = qmkit("verify", target, "--json")
    assert result.code == 1
    verdict = json.loads(result.out)
    assert verdict["host"]["mismatches"] == 0
    assert verdict["emulated"]["mismatches"] > 0


def test_verify_says_why_there_is_no_emulated_run(qmkit, library):
    assert json.loads(qmkit("verify", library, "--host-only", "--json").out)["emulated"] is None
    result = qmkit("verify", library, "--board", "esp32cam")
    assert result.code == 2 and "error[not-emulated]" in result.err and "nano33ble" in result.err


def test_too_little_ram_is_said_in_bytes(qmkit, library):
    result = qmkit("bench", library, "--board", "uno_r4_wifi")
    assert result.code == 1
    assert "error[does-not-fit]" in result.err and "bytes of RAM" in result.err


def test_missing_compiler_and_unknown_board(qmkit, library):
    result = qmkit("bench", library, QMKIT_ARM_CC="no-such-compiler")
    assert result.code == 3 and 'pip install "quantmcu-kit[emulator]"' in result.err
    result = qmkit("bench", library, "--board", "nano33")
    assert result.code == 2 and "did you mean" in result.err


NANO = firmware.MemoryMap.of(find("nano33ble"), stack_bytes=2048)


def elf(source: str, folder: Path) -> Path:
    return firmware.image(source, folder, memory=NANO).path


def test_emulate_prints_the_console_and_returns_the_exit_code(qmkit, tmp_path):
    good = elf('int main(void) { sys_write0("hello\\n"); return 0; }', tmp_path)
    result = qmkit("emulate", good)
    assert (result.code, result.out) == (0, "hello\n") and "cycles" in result.err
    facts = json.loads(qmkit("emulate", good, "--json").out)
    assert facts["output"] == "hello\n" and facts["exit_code"] == 0
    assert facts["cycles"] == sum(function["cycles"] for function in facts["functions"])
    assert qmkit("emulate", elf("int main(void) { return 7; }", tmp_path)).code == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("int main(void) { for (;;) {} }", "no end after"),
        ("int main(void) { *(volatile int *)0x20040000 = 1; return 0; }", "past the end of RAM"),
        (
            "int f(int n) { volatile int a[64]; a[0] = n; return f(n + 1) + a[0]; } int main(void) { return f(0); }",
            "stack",
        ),
    ],
)
def test_emulate_reports_faults_with_exit_code_1(qmkit, tmp_path, source, message):
    result = qmkit("emulate", elf(source, tmp_path), "--limit", "0.5")
    assert result.code == 1
    assert "error[board-fault]" in result.err and message in result.err and "program.c:" in result.err


def test_emulate_refuses_other_files(qmkit, tmp_path):
    (tmp_path / "notes.elf").write_text("no program")
    result = qmkit("emulate", tmp_path / "notes.elf")
    assert result.code == 2 and "error[not-an-elf]" in result.err
    assert qmkit("emulate", sys.executable, "--json").code == 2
    assert qmkit("emulate", tmp_path / "notes.elf", "--board", "esp32cam").code == 2


def test_missing_packages_name_the_extra(qmkit, library, tmp_path):
    """Without the extra: bench says what to install; verify, not asked for a board, goes on without it."""
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for package in ("unicorn", "elftools"):
        (blocked / f"{package}.py").write_text("raise ImportError")
    path = f"{blocked}:{DIGITS.parents[1]}"
    result = qmkit("bench", library, PYTHONPATH=path)
    assert result.code == 3 and 'pip install "quantmcu-kit[emulator]"' in result.err
    result = qmkit("verify", library, PYTHONPATH=path)
    assert result.code == 0 and "not run" in result.out and "quantmcu-kit[emulator]" in result.out
