"""Every file of the C runtime under every compiler at hand, warnings as errors; headers as C++11."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys

import pytest

from tests.support.libraries import STRICT
from tests.support.wheel import ROOT

RUNTIME = ROOT / "platformio_lib" / "src"
CORTEX_M4 = ["-mcpu=cortex-m4", "-mthumb", "-Os"]
ZIG = [sys.executable, "-m", "ziglang", "cc"]
COMPILERS = {
    "gcc": ["gcc", "-O2"],
    "clang": ["clang", "-O2"],
    "zig for Cortex-M4": [*ZIG, "-target", "thumb-linux-musleabihf", "-mcpu=cortex_m4", "-Os"],
    "arm-none-eabi-gcc": ["arm-none-eabi-gcc", *CORTEX_M4],
}


@pytest.mark.parametrize("name", COMPILERS)
def test_c99_without_a_warning(name, tmp_path):
    command = COMPILERS[name]
    if command[:2] == ZIG[:2] and not importlib.util.find_spec("ziglang"):
        pytest.skip("the package ziglang is not installed")
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    sources = sorted((RUNTIME / "quantmcu").rglob("*.c"))
    assert len(sources) >= 20
    for source in sources:
        full = [*command, "-std=c99", *STRICT, "-c", str(source), "-o", str(tmp_path / "unit.o")]
        result = subprocess.run(full, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stderr


@pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed")
def test_headers_are_cpp11(tmp_path):
    headers = sorted(RUNTIME.rglob("*.h"))
    unit = tmp_path / "all.cpp"
    unit.write_text("".join(f'#include "{header}"\n' for header in headers) * 2)
    command = ["g++", "-std=c++11", *STRICT, "-fsyntax-only", str(unit)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
