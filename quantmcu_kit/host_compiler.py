"""The host's C compiler: which one there is, and what it accepts."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from quantmcu_kit.errors import EXIT_ENVIRONMENT, EXIT_FAILED, QmkitError

_CANDIDATES = ("cc", "gcc", "clang")
_COMPILE_SECONDS = 600
_EMPTY = "int main(void) { return 0; }\n"
# Each program is sound without arguments and does with one argument what its sanitizer must find.
_FAULTS = {
    "address": "static char a[16]; int main(int n, char **v) { char *p = a; p[n + 14] = 1; (void)v; return a[0]; }\n",
    "undefined": "int main(int n, char **v) { int x = 2147483646; (void)v; x += n; return x == 0; }\n",
}


@dataclass(frozen=True)
class Compiler:
    """A C compiler as the first words of its command line."""

    command: tuple[str, ...]

    @property
    def name(self) -> str:
        """For people: ``gcc``, or ``zig cc``."""
        return "zig cc" if "ziglang" in self.command else Path(self.command[0]).name

    def compile(self, sources: Sequence[Path], flags: Sequence[str], program: Path) -> None:
        """Compile and link; raises ``compile-failed`` with the first message."""
        command = [*self.command, *flags, *map(str, sources), "-o", str(program)]
        try:
            result = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_COMPILE_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise self._failure(f"no result after {_COMPILE_SECONDS} s") from error
        except OSError as error:
            raise self._failure(error.strerror or str(error)) from error
        if result.returncode != 0:
            lines = [line for line in result.stderr.splitlines() if "error" in line] or result.stderr.splitlines()
            raise self._failure("; ".join(lines[:3]))

    def _failure(self, why: str) -> QmkitError:
        return QmkitError(
            "compile-failed",
            f"{self.name} does not compile the library",
            why=why,
            hint="set CC to another C compiler, or build the library again",
            exit_code=EXIT_FAILED,
        )


def find_compiler() -> Compiler:
    """$CC, else cc, gcc or clang on PATH, else zig of the ``ziglang`` package; raises ``compiler-missing``."""
    chosen = shlex.split(os.environ.get("CC", ""))
    if chosen:
        if shutil.which(chosen[0]):
            return Compiler(tuple(chosen))
        raise _missing(f"CC is {chosen[0]!r}, which is not a program on PATH")
    for name in _CANDIDATES:
        if shutil.which(name):
            return Compiler((name,))
    if importlib.util.find_spec("ziglang"):
        return Compiler((sys.executable, "-m", "ziglang", "cc"))
    raise _missing(f"none of {', '.join(_CANDIDATES)} is on PATH, and the package ziglang is not installed")


def _missing(why: str) -> QmkitError:
    return QmkitError(
        "compiler-missing",
        "no C compiler was found",
        why=why,
        hint='install gcc or clang, or run `pip install "quantmcu-kit[zig]"`',
        exit_code=EXIT_ENVIRONMENT,
    )


def _probe(compiler: Compiler, source: str, flags: Sequence[str], *runs: Sequence[str]) -> list[int]:
    """Exit code of a small program for each list of arguments; [] if it does not compile or start."""
    with tempfile.TemporaryDirectory(prefix="qmkit-") as folder:
        path, program = Path(folder, "probe.c"), Path(folder, "probe.exe")
        path.write_text(source)
        try:
            compiler.compile([path], flags, program)
            return [subprocess.run([program, *run], capture_output=True, timeout=60).returncode for run in runs]
        except (QmkitError, OSError, subprocess.TimeoutExpired):
            return []


@lru_cache
def accepts(compiler: Compiler, flag: str) -> bool:
    """Whether a program compiled with ``flag`` runs here."""
    return _probe(compiler, _EMPTY, [flag], []) == [0]


@lru_cache
def sanitizers(compiler: Compiler) -> tuple[str, ...]:
    """The sanitizers that work here, of ``address`` and ``undefined``: accepting the flag is not enough."""

    def finds(name: str) -> bool:
        codes = _probe(compiler, _FAULTS[name], sanitizer_flags([name]), [], ["fault"])
        return len(codes) == 2 and codes[0] == 0 and codes[1] != 0

    return tuple(name for name in _FAULTS if finds(name))


def sanitizer_flags(names: Sequence[str]) -> tuple[str, ...]:
    """Compiler flags for these sanitizers: the first finding ends the program."""
    return (f"-fsanitize={','.join(names)}", "-fno-sanitize-recover=all") if names else ()
