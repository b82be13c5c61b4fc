"""The cross-compiler for Cortex-M4, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

COMPILER = shutil.which("arm-none-eabi-gcc")
SIZE = shutil.which("arm-none-eabi-size")
FLAGS = "-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -Os -std=c99 -ffunction-sections".split()

needs_arm = pytest.mark.skipif(COMPILER is None, reason="arm-none-eabi-gcc is not installed")


def compile_object(source: Path, target: Path, include: Path, *flags: str) -> Path:
    """``target``, compiled from one C file at -Os."""
    command = [COMPILER, *FLAGS, *flags, "-I", str(include), "-c", str(source), "-o", str(target)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return target


def linked(objects: list[Path], roots: list[str], target: Path) -> Path:
    """``target``: of these objects, what the functions ``roots`` need. Arduino cores link like that."""
    wanted = [f"-Wl,-u,{root}" for root in roots]
    command = [COMPILER, *FLAGS, "-nostdlib", "-r", "-Wl,--gc-sections", *wanted, *map(str, objects), "-o", str(target)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return target


def sizes(objects: list[Path]) -> dict[str, tuple[int, int]]:
    """(text with read-only data, zeroed data) in bytes of each object, by its stem."""
    output = subprocess.run([SIZE, *map(str, objects)], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in output.splitlines()[1:]]
    return {Path(row[5]).stem: (int(row[0]) + int(row[1]), int(row[2])) for row in rows}
