"""Frozen dataclasses <-> JSON values, driven by their type annotations."""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import Enum
from functools import lru_cache
from typing import Any


def encode(value: Any) -> Any:
    """A JSON value for a dataclass, enum, tuple, number, string or None; raises TypeError for anything else."""
    if dataclasses.is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON form")


def decode(annotation: Any, value: Any) -> Any:
    """The object of type ``annotation`` that :func:`encode` made ``value`` of; raises ValueError if there is none."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(arguments, value)
    if origin is tuple:
        return _decode_tuple(arguments, value)
    if dataclasses.is_dataclass(annotation):
        return _decode_dataclass(annotation, value)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return annotation(value)
    if annotation is float and type(value) is int:
        return float(value)
    if annotation in (bool, int, float, str, type(None)):
        if type(value) is not annotation:
            raise ValueError(f"{value!r} is not of type {annotation.__name__}")
        return value
    raise TypeError(f"{annotation} has no JSON form")


@lru_cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _decode_union(arguments: tuple[Any, ...], value: Any) -> Any:
    for argument in arguments:
        try:
            return decode(argument, value)
        except ValueError:
            continue
    raise ValueError(f"{value!r} is none of {arguments}")


def _decode_tuple(arguments: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is not a list")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(decode(arguments[0], item) for item in value)
    if len(arguments) != len(value):
        raise ValueError(f"{value!r} does not have {len(arguments)} items")
    return tuple(decode(argument, item) for argument, item in zip(arguments, value, strict=True))


def _decode_dataclass(cls: type, value: Any) -> Any:
    names = {field.name for field in dataclasses.fields(cls)}
    if not isinstance(value, dict) or set(value) != names:
        raise ValueError(f"{cls.__name__} needs exactly the fields {sorted(names)}")
    hints = _hints(cls)
    return cls(**{name: decode(hints[name], value[name]) for name in names})
