"""Bounded access to a hostile flatbuffer.

The generated accessors of the ``tflite`` package trust the file: offsets may point anywhere and tables may be shared
by any number of owners. Two measures make that harmless:

* what the accessors raise on a bad offset or length becomes ``bad-model`` (:func:`corrupt_is_an_error`);
* every vector, string and table read is charged, by its size, to a budget of ``BUDGET_FACTOR`` times the file.
  A true model stays far below; only tables or buffers that overlap exceed the budget. So time and memory are linear
  in the file's size, whatever it claims.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import tflite

from quantmcu_kit.errors import QmkitError

BUDGET_FACTOR = 4
BUDGET_SLACK = 4096  # bytes, so that tiny models may share what they like
TABLE_BYTES = 64  # charged for a table: half of what its Python object takes, and less than true files spend on one
MAX_TABLES = 50_000  # in one vector; networks for microcontrollers have hundreds of tensors and buffers
MAX_NAME = 512  # characters kept of a name

SCHEMA_VERSION = 3

# What the flatbuffer accessors, numpy and an op's decoder raise on nonsense.
_CORRUPTION = (
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)

Table = TypeVar("Table")


def bad_model(message: str, where: str, why: str = "") -> QmkitError:
    """The error of a file that is damaged or breaks the format's rules."""
    return QmkitError(
        "bad-model",
        message,
        where=where,
        why=why or "the file is truncated or corrupt",
        hint="download or export the model again; the TFLite runtime should be able to load it",
    )


def too_many(count: int, limit: int, message: str) -> None:
    """Raise ``too-large`` when ``count`` of something exceeds what a network for a microcontroller has.

    Args:
        message: the sentence, with ``{:,}`` for the count.
    """
    if count > limit:
        raise QmkitError(
            "too-large",
            message.format(count),
            why=f"at most {limit:,} are read",
            hint="choose a smaller network, or check the file: it may be corrupt",
        )


@contextmanager
def corrupt_is_an_error(message: str, where: str) -> Iterator[None]:
    """Turn whatever reading nonsense raises into ``bad-model``; a QmkitError passes, with its place filled in."""
    try:
        yield
    except QmkitError as error:
        raise error.located(where) from error.__cause__
    except _CORRUPTION as error:
        raise bad_model(message, where) from error


class Reader:
    """Reads vectors, strings and tables of one file within the budget.

    Args:
        data: the file, its identifier checked.
        where: the file's name, for errors.
    """

    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        self._where = where
        self._budget = BUDGET_FACTOR * len(data) + BUDGET_SLACK

    def model(self) -> tflite.Model:
        """The root table."""
        model = tflite.Model.GetRootAs(self._data, 0)
        if model.Version() != SCHEMA_VERSION:
            raise bad_model(
                f"schema version {model.Version()} is unknown", self._where, f"this kit reads version {SCHEMA_VERSION}"
            )
        return model

    def tables(self, count: int, item: Callable[[int], Table | None]) -> list[Table]:
        """The ``count`` tables of a vector, such as ``tables(model.SubgraphsLength(), model.Subgraphs)``."""
        too_many(count, MAX_TABLES, "a list in the file has {:,} entries")
        self.charge(count * TABLE_BYTES)
        found = [item(index) for index in range(count)]
        if any(table is None for table in found):
            raise bad_model("a table is missing", self._where)
        return found

    def numbers(self, values: Callable[[], np.ndarray | int]) -> np.ndarray:
        """A vector of numbers, such as ``numbers(operator.InputsAsNumpy)``, not copied; an absent one is empty."""
        vector = values()
        if isinstance(vector, int):  # the accessors return 0 for an absent vector
            return np.empty(0, np.uint8)
        self.charge(vector.nbytes)
        return vector

    def text(self, value: bytes | None) -> str:
        """A name as printable text of at most ``MAX_NAME`` characters; '' where absent."""
        if value is None:
            return ""
        self.charge(len(value))
        shown = value[: 4 * MAX_NAME].decode("utf-8", errors="replace")[:MAX_NAME]
        return "".join(character if character.isprintable() else "?" for character in shown)

    def charge(self, size: int) -> None:
        """Spend ``size`` bytes of the budget."""
        self._budget -= size
        if self._budget < 0:
            raise bad_model(
                "the file's tables or buffers overlap",
                self._where,
                f"together they claim more than {BUDGET_FACTOR} times the file's {len(self._data):,} bytes",
            )
