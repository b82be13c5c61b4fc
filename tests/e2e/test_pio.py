"""`pio test` on this PC and on emulated boards, without a network: the project's and a library's own."""

import importlib.util
import json
import shutil
import sys
import types
from pathlib import Path

import pytest

from quantmcu_kit.emulate.firmware import linker_script
from quantmcu_kit.emulate.toolchain import find_toolchain
from quantmcu_kit.errors import QmkitError
from tests.e2e.conftest import ROOT
from tests.support.cross import qemu_memory, run_program
from tests.support.libraries import built, run, tool
from tests.support.offline_platformio import lay_out, pio
from tests.support.small_graphs import classifier

PLATFORM = ROOT / "platformio_lib" / "templates" / "emulated_platform"


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    """PlatformIO's own folder; skips where something is missing."""
    pytest.importorskip("unicorn", reason="the extra [emulator] is not installed")
    try:
        find_toolchain()
    except QmkitError as error:
        pytest.skip(error.why)
    tool("gcc")
    tool("g++")
    return lay_out(tmp_path_factory.mktemp("platformio"))


def run_tests(core: Path, project: Path, *environments: str) -> tuple[int, dict[str, list[str]], str]:
    """Exit code, status of every case by environment, and output."""
    report = project / "report.json"
    chosen = [word for name in environments for word in ("-e", name)]
    result = pio(core, project, "test", *chosen, "--json-output-path", report)
    suites = json.loads(report.read_text()) if report.is_file() else {"test_suites": []}
    statuses = {
        suite["env_name"]: [case["status"] for case in suite["test_cases"]]
        for suite in suites["test_suites"]
        if suite["env_name"] in environments
    }
    return result.code, statuses, result.output


def test_project_after_make_demo(core, library, tmp_path):
    shutil.copy(ROOT / "platformio.ini", tmp_path)
    shutil.copytree(ROOT / "sketches", tmp_path / "sketches")
    shutil.copytree(library, tmp_path / "build" / "demo" / "digits")
    code, statuses, output = run_tests(core, tmp_path, "native", "emulated_nano33ble")
    assert code == 0, output
    assert statuses == {"native": ["PASSED"] * 4, "emulated_nano33ble": ["PASSED"] * 4}


def test_library_alone_in_a_folder_with_spaces(core, tmp_path):
    folder = tmp_path / "a maker's libraries"
    library = built(classifier(), folder)
    environments = ("native", "emulated_pico", "emulated_nucleo_h743zi")
    code, statuses, output = run_tests(core, library, *environments)
    assert code == 0, output
    assert statuses == {name: ["PASSED"] * 2 for name in environments}


def test_library_compiled_with_zig(core, tmp_path, monkeypatch):
    pytest.importorskip("ziglang")
    monkeypatch.setenv("QMKIT_ARM_CC", f"'{sys.executable}' -m ziglang cc")
    code, statuses, output = run_tests(core, built(classifier(), tmp_path), "emulated_nano33ble")
    assert code == 0, output
    assert statuses == {"emulated_nano33ble": ["PASSED"] * 2}


def test_wrong_golden_vector_fails(core, tmp_path):
    library = built(classifier(), tmp_path)
    header = library / "test" / "test_golden" / "golden_vectors.h"
    inputs, marker, outputs = header.read_text().rpartition("golden_scores[GOLDEN_VECTORS]")
    first = outputs.index("{", outputs.index("{") + 1) + 1  # inside the first vector
    number = outputs[first:].split(",")[0].strip()
    wrong = outputs[:first] + outputs[first:].replace(number, str(int(number) - 1 if int(number) > 0 else 1), 1)
    header.write_text(inputs + marker + wrong)
    environments = ("native", "emulated_nano33ble")
    code, statuses, output = run_tests(core, library, *environments)
    assert code != 0, output
    # The program's exit code 1 counts as a case of its own.
    assert statuses == {name: ["FAILED", "PASSED", "ERRORED"] for name in environments}


def test_crash_on_the_board_fails(core, tmp_path):
    library = built(classifier(), tmp_path)
    test = library / "test" / "test_golden" / "test_golden.c"
    test.write_text(test.read_text().replace("int failures = 0;", "int failures = *(volatile int *)0x70000000;"))
    code, statuses, output = run_tests(core, library, "emulated_nano33ble")
    assert code != 0 and statuses == {"emulated_nano33ble": ["ERRORED"]}
    assert "read of 4 bytes at 0x70000000" in output and "test_golden.c:" in output


def test_both_projects_are_valid(core, library, tmp_path):
    shutil.copy(ROOT / "platformio.ini", tmp_path)
    for project, environments in ((tmp_path, 4 + 1 + 3), (library, 14 + 1 + 10)):
        result = pio(core, project, "project", "config", "--json-output")
        assert result.code == 0, result.output
        sections = [name for name, _ in json.loads(result.output[result.output.index("[[") :])]
        assert sum(name.startswith("env:") for name in sections) == environments


def test_toolchain_of_a_board(qmkit, core, tmp_path):
    """What the builder is told is enough to compile a program, by hand, that runs on QEMU's Cortex-M0."""
    result = qmkit("toolchain", "--board", "pico", "--linker-script", tmp_path / "board.ld", "--json")
    facts = json.loads(result.out)
    assert result.code == 0 and facts["core"] == "cortex-m0plus"
    # The board's memory, as its catalog entry has it; QEMU's machine has its own.
    script = (tmp_path / "board.ld").read_text()
    assert f"ORIGIN = {0x10000000}, LENGTH = {2097152 - 65536}" in script
    assert f"ORIGIN = {0x20000000 + 12288}, LENGTH = {270336 - 12288}" in script
    (tmp_path / "board.ld").write_text(linker_script(qemu_memory("cortex-m0plus")))
    (tmp_path / "main.c").write_text('#include <stdio.h>\nint main(void) { puts("by hand"); return 3; }\n')
    sources = [tmp_path / "main.c", *Path(facts["startup"]).rglob("*.c")]
    flags = facts["flags"] + facts["c_flags"] + facts["link_flags"]
    run(*facts["command"], *flags, *sources, *facts["libraries"], "-o", tmp_path / "by_hand.elf")
    assert run_program(tmp_path / "by_hand.elf", "cortex-m0plus") == (3, "by hand\n")


def test_toolchain_for_people(qmkit):
    result = qmkit("toolchain", "--board", "nano33ble")
    assert result.code == 0 and "cortex-m4f" in result.out and "-std=gnu99" in result.out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--board", "nano33"), "unknown-board"),
        (("--board", "esp32cam"), "not-emulated"),
        (("--linker-script", "no/such/folder/board.ld"), "output-unwritable"),
    ],
)
def test_toolchain_refuses(qmkit, arguments, code):
    result = qmkit("toolchain", *arguments, "--json")
    assert result.code == 2 and json.loads(result.out)["error"]["code"] == code


class Environment(dict):
    """What the builder uses of SCons' environment."""

    def subst(self, text):
        return text

    def GetProjectOption(self, name):
        return {"custom_board": "esp32cam"}[name]

    def Exit(self, code):
        raise SystemExit(code)


def run_builder(monkeypatch) -> None:
    script = types.SimpleNamespace(Default=None, DefaultEnvironment=Environment)
    monkeypatch.setitem(sys.modules, "SCons", types.SimpleNamespace(Script=script))
    monkeypatch.setitem(sys.modules, "SCons.Script", script)
    spec = importlib.util.spec_from_file_location("builder", PLATFORM / "builder" / "main.py")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def test_builder_says_what_is_missing(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(SystemExit):
        run_builder(monkeypatch)
    assert capsys.readouterr().err == 'Error: qmkit is not on PATH: pip install "quantmcu-kit[emulator]"\n'


def test_builder_passes_on_what_qmkit_says(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run_builder(monkeypatch)
    message = capsys.readouterr().err
    assert message.startswith("Error: esp32cam has a xtensa-lx6, which is not emulated; ") and "nano33ble" in message
