"""The C runtime and the templates: where they lie, and which files a network needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath

import quantmcu_kit
from quantmcu_kit.errors import EXIT_ENVIRONMENT, QmkitError

RUNTIME = "quantmcu"  # folder of the runtime, beside its configuration header
CONFIG = "quantmcu_config.h"
NATIVE = f"{RUNTIME}/native/"  # one folder per backend
NAMESPACE = "quantmcu/namespace.h"  # the one file that a generated library replaces
_INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_DEFINITION = re.compile(
    r"^(?:__attribute__\(\([\w, ]+\)\)\s+)?(?!static\b|typedef\b|#)[a-z][\w *]*?\b(qmcu_\w+)\([^;{]*\)\s*\{",
    re.MULTILINE,
)
_INLINE = re.compile(r"^static inline [^;{]*?\b(qmcu_\w+)\([^;{]*\)\n\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_IF_PACKED = re.compile(r"^#if QMCU_PACKED\n(.*?)(?:^#else\n(.*?))?^#endif\n", re.MULTILINE | re.DOTALL)
_NATIVE = re.compile(r"^#define QMCU_NATIVE_(\w+) 1", re.MULTILINE)
_BACKENDS = ("", "__ref", "__dsp")  # what a primitive's name is followed by where it is defined
_IDENTIFIER = re.compile(r"\bqmcu_\w+")


def runtime_root() -> Path:
    """The ``platformio_lib`` folder: inside an installed wheel, or beside the package in a checkout."""
    package = Path(quantmcu_kit.__file__).resolve().parent
    for candidate in (package / "_platformio_lib", package.parent / "platformio_lib"):
        if (candidate / "src" / CONFIG).is_file():
            return candidate
    raise QmkitError(
        "runtime-missing",
        "the C runtime is not part of this installation",
        where=str(package),
        why="platformio_lib is shipped inside the wheel, or lies beside quantmcu_kit in a checkout",
        hint="install quantmcu-kit again",
        exit_code=EXIT_ENVIRONMENT,
    )


def template_folder() -> Path:
    """The folder of the Jinja2 templates."""
    return runtime_root() / "templates"


@lru_cache
def _sources() -> dict[str, str]:
    """Text of each runtime file by its path under ``src``, in sorted order."""
    root = runtime_root() / "src"
    paths = [path for path in root.rglob("*") if path.suffix in (".c", ".h", ".inc")]
    named = sorted((path.relative_to(root).as_posix(), path) for path in paths)
    return {name: path.read_text("utf-8") for name, path in named if name == CONFIG or name.startswith(f"{RUNTIME}/")}


def defined_symbols(text: str) -> tuple[str, ...]:
    """External functions that a runtime source defines, in order."""
    return tuple(_DEFINITION.findall(_COMMENT.sub("", text)))


@lru_cache
def replaced_sources() -> frozenset[str]:
    """Stems of portable sources all of whose primitives a backend replaces."""
    sources = _sources()
    native = set(_NATIVE.findall("".join(text for path, text in sources.items() if path.endswith("/meta.h"))))
    portable = {path: defined_symbols(text) for path, text in sources.items() if path.endswith("_ref.c")}
    return frozenset(
        PurePosixPath(path).stem
        for path, symbols in portable.items()
        if {symbol.removeprefix("qmcu_").removesuffix("__ref") for symbol in symbols} <= native
    )


def _included(path: str, text: str) -> list[str]:
    folder = PurePosixPath(path).parent
    found = []
    for target in _INCLUDE.findall(text):
        parts: list[str] = []
        for part in (folder / target).parts:
            if part == "..":
                parts.pop()
            else:
                parts.append(part)
        found.append("/".join(parts))
    return found


def _inline_calls(sources: Mapping[str, str], has_packed: bool) -> dict[str, set[str]]:
    """What each inline function of a header mentions."""
    found: dict[str, set[str]] = {}
    for path, text in sources.items():
        if path.endswith(".h"):
            code = _IF_PACKED.sub(r"\1" if has_packed else r"\2", _COMMENT.sub("", text))
            found |= {name: set(_IDENTIFIER.findall(body)) for name, body in _INLINE.findall(code)}
    return found


def _mentioned(text: str, inline_calls: Mapping[str, set[str]]) -> set[str]:
    """Identifiers in a source and in the inline functions that it calls."""
    found: set[str] = set()
    pending = set(_IDENTIFIER.findall(_COMMENT.sub("", text)))
    while pending:
        name = pending.pop()
        found.add(name)
        pending |= inline_calls.get(name, set()) - found
    return found


def needed_files(
    kernels: Iterable[str],
    *,
    has_patches: bool = False,
    has_scans: bool = False,
    has_exchanges: bool = False,
    has_packed: bool = False,
    has_native: bool = True,
) -> dict[str, str]:
    """Runtime files for these kernels by path under ``src``: their sources, what these call, and every header read.

    With ``has_patches``, those of segments too, with ``has_scans`` of patches that are told apart by their pixels, and
    with ``has_exchanges`` of classes that keep rows for one another; with ``has_packed``, what reads and writes values
    of 4 and 2 bits; with ``has_native``, what is written for one kind of processor.

    A source is needed when a needed source, or an inline function that it calls, mentions a function that it defines:
    ``qmcu_foo`` is defined by the file with ``qmcu_foo`` or, for a primitive, ``qmcu_foo__ref``.
    """
    sources = _sources()
    definer = {
        symbol: path for path, text in sources.items() if path.endswith(".c") for symbol in defined_symbols(text)
    }
    inline_calls = _inline_calls(sources, has_packed)
    pending = [f"{RUNTIME}/kernels/{kernel}.c" for kernel in sorted(set(kernels))]
    if has_patches:
        pending.append(f"{RUNTIME}/core/patch.c")
    if has_scans:
        pending.append(f"{RUNTIME}/core/scan.c")
    if has_exchanges:
        pending.append(f"{RUNTIME}/branches/exchange.c")
    needed: set[str] = {CONFIG, NAMESPACE} if pending else set()
    while pending:
        path = pending.pop()
        if path in needed:
            continue
        needed.add(path)
        text = sources[path]
        pending += _included(path, text)
        if path.endswith(".c"):
            mentioned = _mentioned(text, inline_calls)
            backends = _BACKENDS if has_native else _BACKENDS[:2]
            names = {f"{mention}{backend}" for mention in mentioned for backend in backends}
            pending += sorted({definer[name] for name in names if name in definer})
    return {path: sources[path] for path in sorted(needed)}
