"""Which cross-compiler is used, and the cores that it is told about."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from quantmcu_kit.boards import catalog
from quantmcu_kit.emulate import toolchain
from quantmcu_kit.emulate.cores import CORES, find_core
from quantmcu_kit.errors import EXIT_BAD_INPUT, EXIT_ENVIRONMENT, QmkitError
from tests.support.arm import COMPILER, needs_arm
from tests.support.cross import cross_compiler

NO_SUCH_FOLDER = "no-such-folder"


def program(folder: Path, name: str, prints: str) -> Path:
    """A program that prints one line whatever it is asked."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {prints}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine without any cross-compiler."""
    monkeypatch.delenv(toolchain.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / NO_SUCH_FOLDER))
    monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(tmp_path / "pio"))
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ziglang" else found(name))
    return tmp_path


def test_none(bare):
    with pytest.raises(QmkitError) as caught:
        toolchain.find_toolchain()
    assert caught.value.code == "cross-compiler-missing" and caught.value.exit_code == EXIT_ENVIRONMENT
    assert 'pip install "quantmcu-kit[emulator]"' in caught.value.hint


@pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")
def test_order(bare, monkeypatch):
    platformio = program(bare / "pio/packages/toolchain-gccarmnoneeabi/bin", "arm-none-eabi-gcc", "7.2.1")
    assert toolchain.find_toolchain() == toolchain.Toolchain((str(platformio),), "gcc", "7.2.1")
    on_path = program(bare / "bin", "arm-none-eabi-gcc", "12.2.1")
    monkeypatch.setenv("PATH", str(bare / "bin"))
    assert toolchain.find_toolchain() == toolchain.Toolchain((str(on_path),), "gcc", "12.2.1")
    assert toolchain.find_toolchain().name == "arm-none-eabi-gcc 12.2.1"
    zig = program(bare / "own tools", "zig", "0.13.0")
    monkeypatch.setenv(toolchain.VARIABLE, f"'{zig}' cc")
    assert toolchain.find_toolchain() == toolchain.Toolchain((str(zig), "cc"), "zig", "0.13.0")
    assert toolchain.find_toolchain().name == "zig cc 0.13.0"


@pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")
@pytest.mark.parametrize("value", ["no-such-compiler", "broken"])
def test_chosen_compiler_must_run(bare, monkeypatch, value):
    broken = program(bare / "bin", "broken", "")
    monkeypatch.setenv(toolchain.VARIABLE, str(broken) if value == "broken" else value)
    with pytest.raises(QmkitError) as caught:
        toolchain.find_toolchain()
    assert caught.value.code == "cross-compiler-missing" and value in caught.value.why


def test_zig_is_the_last_resort(bare, monkeypatch):
    monkeypatch.undo()
    pytest.importorskip("ziglang")
    monkeypatch.delenv(toolchain.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", NO_SUCH_FOLDER)
    monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(bare))
    found = toolchain.find_toolchain()
    assert found.command == (sys.executable, "-m", "ziglang", "cc") and found.kind == "zig"


def test_every_emulated_board_has_a_core():
    for board in catalog.boards():
        if board.flash_start is not None:
            assert find_core(board.cpu).name == board.cpu


def test_unknown_core():
    with pytest.raises(QmkitError) as caught:
        find_core("cortex-m4")
    assert caught.value.code == "unknown-core" and caught.value.exit_code == EXIT_BAD_INPUT
    assert "cortex-m4f" in caught.value.hint


# Of each core: (architecture, DSP extension, FPU with single precision only, hardware division).
EXTENSIONS = {
    "cortex-m0plus": ("__ARM_ARCH_6M__", False, False, False),
    "cortex-m3": ("__ARM_ARCH_7M__", False, False, True),
    "cortex-m4f": ("__ARM_ARCH_7EM__", True, True, True),
    "cortex-m7": ("__ARM_ARCH_7EM__", True, True, True),
    "cortex-m33": ("__ARM_ARCH_8M_MAIN__", True, True, True),
}


@pytest.mark.parametrize("kind", ["gcc", "zig"])
@pytest.mark.parametrize("core", CORES, ids=lambda core: core.name)
def test_compilers_know_the_core(kind, core):
    compiler = cross_compiler(kind)
    command = [*compiler.command, *compiler.core_flags(core), "-dM", "-E", "-xc", os.devnull]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    macros = {line.split()[1]: line.split()[-1] for line in lines if len(line.split()) > 2}
    architecture, dsp, fpu, divides = EXTENSIONS[core.name]
    # Arm C Language Extensions: __ARM_FP has bit 2 for single precision and bit 3 for double.
    precision = int(macros.get("__ARM_FP", "0"), 0)
    assert architecture in macros
    assert (("__ARM_FEATURE_DSP" in macros), bool(precision & 4), bool(precision & 8)) == (dsp, fpu, False)
    assert ("__ARM_FEATURE_IDIV" in macros or "__ARM_ARCH_EXT_IDIV__" in macros) == divides
    assert core.has_fpu == fpu == ("__ARM_PCS_VFP" in macros)


@needs_arm
def test_version_of_the_real_one(monkeypatch):
    monkeypatch.setenv(toolchain.VARIABLE, COMPILER)
    banner = subprocess.run([COMPILER, "--version"], capture_output=True, text=True, check=True).stdout
    assert toolchain.find_toolchain().version in banner.split()
