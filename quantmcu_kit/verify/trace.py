"""What a traced run of a library computed: each layer's output, whole or in the pieces that patches computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.errors import EXIT_FAILED, QmkitError
from quantmcu_kit.ir.manifest import LayerEntry
from quantmcu_kit.numerics.packing import packed_bytes, unpack

_HEADER = np.dtype([("layer", "<i4"), ("row", "<i4"), ("column", "<i4"), ("bytes", "<i4")])
_ALL_ROWS = -1


@dataclass(frozen=True, eq=False)
class Piece:
    """Consecutive values of a layer's output: flat, int8 or, below 8 bits, uint8; ``start`` is the first one's index."""

    start: int
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """What one run computed of one layer's output.

    Attributes:
        index: of the node.
        shape: of its output.
        pieces: in order of computation: one, or one per row and patch where the layer runs patch by patch.
    """

    index: int
    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]

    @property
    def pixels(self) -> int:
        """How many were computed, each time counted; a vector is one pixel."""
        return sum(piece.values.size for piece in self.pieces) // (self.shape[-1] if self.shape else 1)

    def over(self, values: np.ndarray) -> np.ndarray:
        """``values`` of the output's shape, changed wherever a piece has another value.

        Equal to ``values`` only if every patch computed these, those too that computed a pixel again. What no patch
        computes, such as rows that a stride steps over, stays.
        """
        result = values.reshape(-1).copy()
        for piece in self.pieces:
            places = slice(piece.start, piece.start + piece.values.size)
            differs = piece.values != values.reshape(-1)[places]
            result[places][differs] = piece.values[differs]
        return result.reshape(values.shape)


def parse(data: np.ndarray, layers: Sequence[LayerEntry]) -> tuple[LayerTrace, ...]:
    """The layers that the records of runner.c, uint8 ``data``, tell about, by index.

    Raises:
        QmkitError: ``library-error`` for pieces that lie outside their layer's output.
    """
    pieces: dict[int, list[Piece]] = {}
    for index, piece in _records(data, layers):
        pieces.setdefault(index, []).append(piece)
    return tuple(LayerTrace(index, layers[index].shape, tuple(pieces[index])) for index in sorted(pieces))


def _records(data: np.ndarray, layers: Sequence[LayerEntry]) -> Iterator[tuple[int, Piece]]:
    position = 0
    while position < len(data):
        start = position + _HEADER.itemsize
        layer, row, column, size = (int(field) for field in data[position:start].view(_HEADER)[0])
        position = start + size
        if not 0 <= layer < len(layers):
            raise _outside(layer, row, column)
        shape = layers[layer].shape
        channels = shape[-1] if shape else 1
        place = 0 if row == _ALL_ROWS else (row * shape[2] + column) * channels
        values = _values(data[start:position], channels, layers[layer].bits)
        if values is None or not 0 <= place <= place + values.size <= np.prod(shape, dtype=np.int64):
            raise _outside(layer, row, column)
        yield layer, Piece(place, values)


def _values(data: np.ndarray, channels: int, bits: int) -> np.ndarray | None:
    """The values in the bytes of whole pixels; None where the last pixel is not whole."""
    if bits == 8:
        return data.view(np.int8)
    pixel_bytes = packed_bytes(channels, bits)
    if len(data) % pixel_bytes:
        return None
    return unpack(data.reshape(-1, pixel_bytes), bits, channels, signed=False).reshape(-1)


def _outside(layer: int, row: int, column: int) -> QmkitError:
    return QmkitError(
        "library-error",
        f"the library computes row {row}, column {column} of layer {layer:02d}, which has no such place",
        why="its tables of patches are not those that qmkit wrote",
        hint="build the library again",
        exit_code=EXIT_FAILED,
    )
