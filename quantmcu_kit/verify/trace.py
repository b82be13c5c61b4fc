"""What a traced run of a library computed: each layer's output, whole or in the pieces that patches computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.errors import EXIT_FAILED, QmkitError
from quantmcu_kit.ir.manifest import LayerEntry, Manifest
from quantmcu_kit.numerics.packing import packed_bytes, unpack

_HEADER = np.dtype([("layer", "<i4"), ("row", "<i4"), ("column", "<i4"), ("bytes", "<i4")])
_ALL_ROWS = -1


@dataclass(frozen=True, eq=False)
class Piece:
    """Consecutive values of a layer's output, flat.

    Attributes:
        start: index of the first one.
        values: int8 or, below 8 bits, uint8.
        branch_class: number of the class of the patch that computed them; 0 where all are alike.
    """

    start: int
    values: np.ndarray
    branch_class: int = 0


@dataclass(frozen=True)
class PatchClass:
    """Of which branch class the library takes a patch to be: the segment's index, the patch's row and column in it."""

    segment: int
    row: int
    column: int
    branch_class: int


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

    @property
    def branch_classes(self) -> tuple[int, ...]:
        """Numbers of the classes of the patches that computed it."""
        return tuple(sorted({piece.branch_class for piece in self.pieces}))

    def over(self, values: np.ndarray, branch_class: int | None = None) -> np.ndarray:
        """``values`` of the output's shape, changed wherever a piece (of one branch class) has another value.

        Equal to ``values`` only if every patch computed these, those too that computed a pixel again. What no patch
        computes, such as rows that a stride steps over, stays.
        """
        result = values.reshape(-1).copy()
        for piece in self.pieces:
            if branch_class not in (None, piece.branch_class):
                continue
            places = slice(piece.start, piece.start + piece.values.size)
            differs = piece.values != values.reshape(-1)[places]
            result[places][differs] = piece.values[differs]
        return result.reshape(values.shape)


@dataclass(frozen=True, eq=False)
class Trace:
    """What one run computed: layers by index, and the classes of patches in order of computation."""

    layers: tuple[LayerTrace, ...]
    patch_classes: tuple[PatchClass, ...]


def parse(data: np.ndarray, manifest: Manifest) -> Trace:
    """What the records of runner.c, uint8 ``data``, tell.

    Raises:
        QmkitError: ``library-error`` for pieces that lie outside their layer's output, or patches outside of a segment.
    """
    pieces: dict[int, list[Piece]] = {}
    classes: list[PatchClass] = []
    segment_of = {
        index: number for number, entry in enumerate(manifest.segments) for index in range(entry.start, entry.end)
    }
    current: dict[int, int] = {}  # the class of the patch that a segment computes
    for record in _records(data):
        if record.layer < 0:
            patch = _patch_class(record, manifest)
            classes.append(patch)
            current[patch.segment] = patch.branch_class
            continue
        branch_class = current.get(segment_of.get(record.layer, -1), 0)
        pieces.setdefault(record.layer, []).append(_piece(record, manifest.layers, branch_class))
    layers = (LayerTrace(index, manifest.layers[index].shape, tuple(pieces[index])) for index in sorted(pieces))
    return Trace(tuple(layers), tuple(classes))


@dataclass(frozen=True, eq=False)
class _Record:
    layer: int
    row: int
    column: int
    data: np.ndarray


def _records(data: np.ndarray) -> Iterator[_Record]:
    position = 0
    while position < len(data):
        start = position + _HEADER.itemsize
        layer, row, column, size = (int(field) for field in data[position:start].view(_HEADER)[0])
        position = start + size
        yield _Record(layer, row, column, data[start:position])


def _patch_class(record: _Record, manifest: Manifest) -> PatchClass:
    segment, branch_class = ~record.layer, int(record.data[0])
    entry = manifest.segments[segment] if segment < len(manifest.segments) else None
    if (
        entry is None
        or entry.classes is None
        or branch_class >= len(entry.classes.names)
        or not (0 <= record.row < entry.rows and 0 <= record.column < entry.columns)
    ):
        raise _wrong_tables(f"the library computes a patch {record.row}, {record.column} of segment {segment}")
    return PatchClass(segment, record.row, record.column, branch_class)


def _piece(record: _Record, layers: Sequence[LayerEntry], branch_class: int) -> Piece:
    layer, row, column = record.layer, record.row, record.column
    where = f"the library computes row {row}, column {column} of layer {layer:02d}"
    if layer >= len(layers):
        raise _wrong_tables(where)
    entry = layers[layer]
    channels = entry.shape[-1] if entry.shape else 1
    place = 0 if row == _ALL_ROWS else (row * entry.shape[2] + column) * channels
    bits = entry.class_bits[branch_class] if entry.class_bits else entry.bits
    values = _values(record.data, channels, bits)
    if values is None or not 0 <= place <= place + values.size <= np.prod(entry.shape, dtype=np.int64):
        raise _wrong_tables(where)
    return Piece(place, values, branch_class)


def _values(data: np.ndarray, channels: int, bits: int) -> np.ndarray | None:
    """The values in the bytes of whole pixels; None where the last pixel is not whole."""
    if bits == 8:
        return data.view(np.int8)
    pixel_bytes = packed_bytes(channels, bits)
    if len(data) % pixel_bytes:
        return None
    return unpack(data.reshape(-1, pixel_bytes), bits, channels, signed=False).reshape(-1)


def _wrong_tables(message: str) -> QmkitError:
    return QmkitError(
        "library-error",
        f"{message}, which has no such place",
        why="its tables of patches are not those that qmkit wrote",
        hint="build the library again",
        exit_code=EXIT_FAILED,
    )
