"""What a generated library says about itself (``extras/qmkit.json``): written by emit, read by verify and the CLI."""

from __future__ import annotations

import json
from dataclasses import dataclass

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.codec import decode, encode
from quantmcu_kit.ir.contract import Preprocess
from quantmcu_kit.ir.schedule import HaloMode

GENERATOR = "qmkit"
FOLDER = "extras"
PATH = f"{FOLDER}/qmkit.json"
NETWORK_PATH = f"{FOLDER}/network.zip"
GOLDENS_PATH = f"{FOLDER}/goldens.zip"


@dataclass(frozen=True)
class PortEntry:
    """An input or output: its C parameter, the model file's name, shape, quantization and arena offset in bytes.

    The offset is None for an input that is not in the arena.
    """

    name: str
    model_name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int
    arena_offset: int | None


@dataclass(frozen=True)
class LayerEntry:
    """A node of the network; offsets and sizes in bytes, ``bits`` of one value of its output. ``kernels`` is empty for
    a view.

    Attributes:
        class_bits: bits by branch class, in the segment's order; empty where all patches are alike.
        weight_bits: of one weight; None for a node without any.
    """

    index: int
    op: str
    name: str
    kernels: tuple[str, ...]
    shape: tuple[int, ...]
    bits: int
    weight_bits: int | None
    macs: int
    weights_bytes: int
    arena_offset: int
    scratch_offset: int | None
    class_bits: tuple[int, ...]


@dataclass(frozen=True)
class ClassesEntry:
    """Branch classes of a segment's patches.

    Attributes:
        names: in the order of their numbers in C.
        of_patch: the class of each patch, row by row; None where the picture decides.
        limit: mean score of a patch's values beyond which it is of the first class; None where the position decides.
        scores: entries of the table of scores, 0 where there is none.
    """

    names: tuple[str, ...]
    of_patch: tuple[tuple[str, ...], ...] | None
    limit: int | None
    scores: int


@dataclass(frozen=True)
class SegmentEntry:
    """Layers [start, end) that run patch by patch: rows and columns of patches, what is kept between them, maps, and
    branch classes where there are any."""

    start: int
    end: int
    rows: int
    columns: int
    halo: HaloMode
    maps: int
    classes: ClassesEntry | None


@dataclass(frozen=True)
class Manifest:
    """Facts of a generated library.

    Attributes:
        version: of the qmkit that wrote it.
        model_sha256: of the ``.tflite`` file.
        preprocess: how pixels become the input, None for networks that take no picture.
        takes_pixels: whether ``<name>_run`` takes uint8 pixels; otherwise only ``<name>_run_quantized`` exists.
        external_bytes: of external RAM beside the arena.
        weights_bytes: constants in flash: weights, biases, requantization and lookup tables.
        hot_bytes: of them, copied to RAM when a program starts.
        macs: multiply-accumulates per run.
        network_sha256, goldens_sha256: of the archives in ``extras/``.
        files: every path of the library, this one included.
    """

    generator: str
    version: str
    name: str
    model_sha256: str
    board: str
    preprocess: Preprocess | None
    takes_pixels: bool
    inputs: tuple[PortEntry, ...]
    outputs: tuple[PortEntry, ...]
    class_names: tuple[str, ...]
    arena_bytes: int
    arena_lower_bound_bytes: int
    external_bytes: int
    weights_bytes: int
    hot_bytes: int
    macs: int
    layers: tuple[LayerEntry, ...]
    segments: tuple[SegmentEntry, ...]
    network_sha256: str
    goldens_sha256: str
    files: tuple[str, ...]


def to_json(manifest: Manifest) -> str:
    """The manifest as JSON text."""
    return json.dumps(encode(manifest), indent=2) + "\n"


def from_json(text: str) -> Manifest:
    """The manifest that :func:`to_json` wrote; raises ``not-a-library``."""
    try:
        manifest = decode(Manifest, json.loads(text))
        if manifest.generator != GENERATOR:
            raise ValueError(f"generator is {manifest.generator!r}")
        return manifest
    except (ValueError, RecursionError) as error:
        raise QmkitError(
            "not-a-library",
            f"{PATH} is not the manifest of a library of this version of qmkit",
            why=str(error),
            hint="build the library again",
        ) from error


def listed_files(text: str) -> frozenset[str]:
    """The paths that a manifest of any version of qmkit lists; none if ``text`` is no such manifest."""
    try:
        document = json.loads(text)
        return frozenset(document["files"]) if document["generator"] == GENERATOR else frozenset()
    except (ValueError, TypeError, KeyError, RecursionError):
        return frozenset()
