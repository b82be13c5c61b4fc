"""Constant arrays of the generated C: their names and their text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_C_TYPES = {
    np.dtype(np.int8): "int8_t",
    np.dtype(np.uint8): "uint8_t",
    np.dtype(np.int16): "int16_t",
    np.dtype(np.uint16): "uint16_t",
    np.dtype(np.int32): "int32_t",
    np.dtype(np.uint32): "uint32_t",
}
_LINE = 112  # characters for values on a line
_SHARED_BYTES = 256  # equal arrays of at least this size, such as lookup tables, are stored once


@dataclass(frozen=True, eq=False)
class Constant:
    """An array in flash.

    Attributes:
        name: C identifier.
        values: the elements, any shape; C sees them flat.
    """

    name: str
    values: np.ndarray

    @property
    def c_type(self) -> str:
        """Element type in C."""
        return _C_TYPES[self.values.dtype]

    @property
    def bytes(self) -> int:
        """Size in flash."""
        return self.values.nbytes

    @property
    def declaration(self) -> str:
        """``int8_t name[length]``."""
        return f"{self.c_type} {self.name}[{self.values.size}]"

    @property
    def layout(self) -> str:
        """The shape as C dimensions, empty for a vector."""
        return "".join(f"[{size}]" for size in self.values.shape) if self.values.ndim > 1 else ""

    @property
    def text(self) -> str:
        """The elements as wrapped lines, indented by four."""
        return format_values(self.values)


def format_values(values: np.ndarray) -> str:
    """Aligned, comma-separated decimals, indented by four; lines break at whole rows of the array where these fit."""
    flat = values.reshape(-1)
    distinct, position = np.unique(flat, return_inverse=True)
    width = max(len(str(distinct[0])), len(str(distinct[-1])))
    per_line = _values_per_line(values.shape, _LINE // (width + 2))
    cells = np.array([f"{value:>{width}}, " for value in distinct.tolist()], f"S{width + 2}")[position]
    whole = flat.size // per_line * per_line
    lines = cells[:whole].view(f"S{per_line * (width + 2)}").tolist()
    if whole < flat.size:
        lines.append(cells[whole:].tobytes())
    return "\n".join("    " + line.decode("ascii").rstrip() for line in lines)


def _values_per_line(shape: tuple[int, ...], limit: int) -> int:
    """The most values within ``limit`` that end a line where an inner row of the array ends; 16 or so if none does."""
    row = 1
    best = 0
    for size in reversed(shape):
        row *= size
        if row <= limit:
            best = limit // row * row
    inner = shape[-1] if shape else 1
    if inner > limit:
        best = next((step for step in (limit // 8 * 8, 16, 12, 10, 8) if step <= limit and inner % step == 0), limit)
    return max(1, best)


class ConstantPool:
    """Collects the arrays of a library in order of use; large equal ones are kept once."""

    def __init__(self, library: str) -> None:
        self._library = library
        self._by_content: dict[tuple[str, bytes], Constant] = {}
        self.constants: list[Constant] = []

    def add(self, owner: str, field: str, values: np.ndarray, *, may_share: bool = False) -> Constant:
        """The constant ``<library>_<owner>_<field>``, or an earlier one with the same elements.

        Args:
            may_share: small ones are kept once too.
        """
        content = (values.dtype.str, values.tobytes())
        if (may_share or values.nbytes >= _SHARED_BYTES) and content in self._by_content:
            return self._by_content[content]
        name = f"{self._library}_{owner}_{field}"
        assert all(constant.name != name for constant in self.constants), f"two constants are called {name}"
        constant = Constant(name, values)
        self.constants.append(constant)
        self._by_content[content] = constant
        return constant
