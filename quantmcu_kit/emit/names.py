"""Names and text that are safe inside C, whatever the model file says."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

import numpy as np

from quantmcu_kit.errors import QmkitError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_C_KEYWORDS = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long "
    "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while "
    "and and_eq asm bitand bitor bool catch class compl delete explicit export false friend mutable namespace new not "
    "not_eq operator or or_eq private protected public template this throw true try typeid typename using virtual xor "
    "xor_eq alignas alignof constexpr decltype noexcept nullptr thread_local static_assert".split()
)
# `src/<name>.h` lies on the compiler's include path: it must not stand in front of a header of the system or the core.
_HEADERS = frozenset(
    "assert complex ctype errno fenv float inttypes iso646 limits locale main malloc math memory sched setjmp signal "
    "stdarg stdbool stddef stdint stdio stdlib string strings tgmath time unistd wchar wctype arduino quantmcu "
    "quantmcu_config wire spi server client print stream printable udp usb".split()
)


def library_name(text: str) -> str:
    """A library name made from a model's file name: lower case, digits and underscores."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:40].rstrip("_")
    if not name or not name[0].isalpha():
        name = f"net_{name}".rstrip("_")[:40]
    return f"{name}_net" if name in _C_KEYWORDS | _HEADERS else name


def check_name(name: str) -> str:
    """``name`` itself if it can prefix C symbols and name a header; raises ``bad-name``."""
    if not _NAME.fullmatch(name):
        why = "it prefixes C symbols and names files: a lower-case letter, then up to 39 of a-z, 0-9 and _"
    elif name in _C_KEYWORDS:
        why = "it is a keyword of C or C++"
    elif name in _HEADERS:
        why = f"{name}.h would hide a header of the C library or of the Arduino core"
    else:
        return name
    raise QmkitError("bad-name", f"a library cannot be called {name!r}", why=why, hint=f"--name {library_name(name)}")


def parameter_names(
    inputs: Sequence[str], outputs: Sequence[str], single_output: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """C parameters for the ports: ``input`` or ``single_output`` for one, else the model's names, or numbered ones."""
    found = _names(inputs, "input"), _names(outputs, single_output)
    if set(found[0]) & set(found[1]):
        return tuple(_numbered("input", inputs)), tuple(_numbered("output", outputs))
    return found


def _numbered(stem: str, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{stem}_{index}" for index in range(len(names)))


def _names(names: Sequence[str], single: str) -> tuple[str, ...]:
    if len(names) == 1:
        return (single,)
    own = tuple(
        re.sub(r"\W+", "_", name.split("/")[-1].split(":")[0].lower(), flags=re.ASCII).strip("_") for name in names
    )
    usable = all(_NAME.fullmatch(name) and name not in _C_KEYWORDS and name not in ("arena", "bytes") for name in own)
    return own if usable and len(set(own)) == len(own) else _numbered(single, names)


def comment(text: str, limit: int = 60) -> str:
    """``text`` as one line of printable ASCII that cannot end a comment; long names keep their tail."""
    plain = "".join(c if " " <= c <= "~" and c not in "\\?" else "_" for c in text)
    plain = plain.replace("*/", "*_").replace("/*", "_*")
    return plain if len(plain) <= limit else "..." + plain[-(limit - 3) :]


def paragraph(text: str) -> str:
    """``text`` wrapped into whole lines inside a block comment."""
    return "".join(f" * {line}\n" for line in textwrap.wrap(text, 115, break_on_hyphens=False))


def block_comment(text: str) -> str:
    """``text`` wrapped into a block comment of whole lines."""
    return "/* " + paragraph(text).removeprefix(" * ").rstrip("\n") + " */\n"


def c_string(text: str) -> str:
    """``text`` as a C string literal: UTF-8, everything unusual as octal escapes."""
    plain = set(map(ord, " !#$%&'()*+,-./:;<=>@[]^_`{|}~")) | {c for c in range(128) if chr(c).isalnum()}
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in text.encode()) + '"'


def float_literal(value: np.float32 | float) -> str:
    """The shortest decimal that reads back as this float32, as a C literal."""
    text = str(np.float32(value))
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def prototype(function: str, parameters: Sequence[str], storage: str = "") -> str:
    """``int function(parameters)`` in lines of at most 119 characters, broken between parameters."""
    head = f"{storage}int {function}("
    lines = [head]
    for parameter in parameters:
        if len(lines[-1]) + len(parameter) + 2 > 119:
            lines[-1] = lines[-1].rstrip()
            lines.append(" " * len(head))
        lines[-1] += f"{parameter}, "
    return "\n".join(lines).removesuffix(", ") + ")"
