"""The cross-compiler for Cortex-M: which one there is."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from quantmcu_kit.emulate.cores import Core
from quantmcu_kit.errors import EXIT_ENVIRONMENT, QmkitError

VARIABLE = "QMKIT_ARM_CC"
_GCC = "arm-none-eabi-gcc"
_PLATFORMIO_PACKAGES = "toolchain-gccarmnoneeabi*"
_VERSION_SECONDS = 120  # a first start may have to unpack or scan the compiler


@dataclass(frozen=True)
class Toolchain:
    """A cross-compiler that also links.

    Attributes:
        command: the first words of its command line.
        kind: whose options it takes.
        version: such as ``12.2.1``.
    """

    command: tuple[str, ...]
    kind: Literal["gcc", "zig"]
    version: str

    @property
    def name(self) -> str:
        """For people: ``arm-none-eabi-gcc 12.2.1``."""
        return f"{_GCC if self.kind == 'gcc' else 'zig cc'} {self.version}"

    @property
    def archiver(self) -> tuple[str, ...]:
        """The first words of the command line that makes static libraries."""
        if self.kind == "zig":
            return (*self.command[:-1], "ar")
        return (_answer([*self.command, "-print-prog-name=ar"]),)

    def core_flags(self, core: Core) -> tuple[str, ...]:
        """What selects ``core``."""
        return core.gcc_flags if self.kind == "gcc" else core.zig_flags


def find_toolchain() -> Toolchain:
    """$QMKIT_ARM_CC, else arm-none-eabi-gcc on PATH or of PlatformIO's packages, else zig of the package ``ziglang``.

    Raises:
        QmkitError: ``cross-compiler-missing``.
    """
    chosen = shlex.split(os.environ.get(VARIABLE, ""))
    if chosen:
        if not shutil.which(chosen[0]):
            raise _missing(f"{VARIABLE} is {chosen[0]!r}, which is not a program on PATH")
        return _toolchain(tuple(chosen))
    gcc = shutil.which(_GCC) or _platformio_gcc()
    if gcc:
        return _toolchain((gcc,))
    if importlib.util.find_spec("ziglang"):
        return _toolchain((sys.executable, "-m", "ziglang", "cc"))
    raise _missing(f"{_GCC} is neither on PATH nor a package of PlatformIO, and the package ziglang is not installed")


def _platformio_gcc() -> str | None:
    """arm-none-eabi-gcc of a PlatformIO platform that was installed before."""
    core = Path(os.environ.get("PLATFORMIO_CORE_DIR") or Path.home() / ".platformio")
    folders = sorted(core.joinpath("packages").glob(f"{_PLATFORMIO_PACKAGES}/bin"))
    found = (shutil.which(_GCC, path=str(folder)) for folder in folders)
    return next(filter(None, found), None)


@lru_cache
def _toolchain(command: tuple[str, ...]) -> Toolchain:
    is_zig = command[-1] == "cc" and any("zig" in word for word in command)
    question = [*command[:-1], "version"] if is_zig else [*command, "-dumpfullversion"]
    return Toolchain(command, "zig" if is_zig else "gcc", _answer(question))


def _answer(question: Sequence[str]) -> str:
    """The line that a compiler prints when it is asked about itself."""
    try:
        answer = subprocess.run(question, capture_output=True, text=True, errors="replace", timeout=_VERSION_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _missing(f"{shlex.join(question)} does not run: {error}") from error
    if answer.returncode != 0 or not answer.stdout.strip():
        raise _missing(f"{shlex.join(question)} does not answer")
    return answer.stdout.splitlines()[0].strip()


def _missing(why: str) -> QmkitError:
    return QmkitError(
        "cross-compiler-missing",
        "no compiler for Cortex-M was found",
        why=why,
        hint=f'pip install "quantmcu-kit[emulator]", or install {_GCC}, or set {VARIABLE}',
        exit_code=EXIT_ENVIRONMENT,
    )
