"""Parameter structs of kernel calls as C text; where branch classes differ, an array of one per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from quantmcu_kit.emit.classes import PatchClasses
from quantmcu_kit.emit.constants import ConstantPool

Fields = tuple[tuple[str, Any], ...]

_LINE = 120
_INDENT = 4
_DIMENSIONS = frozenset(("h", "w", "c", "bits", "top", "left"))


Texts = tuple[tuple[str, Any], ...]  # fields whose values are C text, or fields of a nested struct


def define_struct(
    kernel: str, label: str, fields: Sequence[Fields], pool: ConstantPool, classes: PatchClasses | None
) -> tuple[str, bool]:
    """The definition of k<label>, and whether it is an array because the classes differ.

    Args:
        fields: of the struct, by number of the branch class; one alone without classes.
    """
    texts = [_as_text(fields[0], pool, label, may_share=False)]
    for each, suffix in zip(fields[1:], classes.suffixes[1:] if classes else (), strict=True):
        texts.append(_as_text(each, pool, f"{label}_{suffix}", may_share=True))
    head = f"static const qmcu_{kernel}_t k{label}"
    if all(each == texts[0] for each in texts):
        start = f"{head} = {{"
        items = _items(texts[0], _INDENT)
        body = ", ".join(items)
        if len(start) + len(body) + 2 > _LINE or "\n" in body:
            body = f"\n{_wrap(items, _INDENT)}\n"
        return f"{start}{body}}};", False
    margin = " " * _INDENT
    lines = [f"{head}[{len(texts)}] = {{"]
    for name, each in zip(classes.names, texts, strict=True):
        lines += [f"{margin}{{ /* {name} */", _wrap(_items(each, 2 * _INDENT), 2 * _INDENT), f"{margin}}},"]
    return "\n".join((*lines, "};")), True


def _as_text(fields: Fields, pool: ConstantPool, owner: str, *, may_share: bool) -> Texts:
    """The fields with their values as text; their arrays go into the pool."""

    def text(name: str, value: object) -> str | Texts:
        if value is None:
            return "NULL"
        if isinstance(value, np.ndarray):
            return pool.add(owner, name, value, may_share=may_share).name
        if isinstance(value, tuple):
            return _as_text(value, pool, owner, may_share=may_share)
        return str(int(value))

    return tuple((name, text(name, value)) for name, value in fields)


def _items(fields: Texts, indent: int) -> list[str]:
    """``.name = value`` per field, in the struct's order."""
    return [f".{name} = {_value(value, indent)}" for name, value in fields]


def _value(value: str | Texts, indent: int) -> str:
    if isinstance(value, str):
        return value
    if all(inner in _DIMENSIONS for inner, _ in value):  # sizes read better without names
        return "{" + ", ".join(number for _, number in value) + "}"
    items = _items(value, indent + _INDENT)
    one_line = "{" + ", ".join(items) + "}"
    if len(one_line) < _LINE - 20 - indent:
        return one_line
    return "{\n" + _wrap(items, indent + _INDENT) + f"\n{' ' * indent}}}"


def _wrap(items: list[str], indent: int) -> str:
    """Items, each followed by a comma, filled into lines; a nested struct stands alone."""
    margin = " " * indent
    lines: list[str] = []
    full = True
    for item in items:
        stands_alone = "{." in item or "\n" in item
        if full or stands_alone or len(lines[-1]) + len(item) + 2 > _LINE:
            lines.append(f"{margin}{item},")
        else:
            lines[-1] += f" {item},"
        full = stands_alone
    return "\n".join(lines)
