"""What a library takes of a board, estimated on the PC without a cross-compiler.

The arena and the constants are exact. Code is a sum of sizes measured for Cortex-M4 at -Os (``code_size.toml`` beside
the runtime); a test holds the estimate against the cross-compiler's figures.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from quantmcu_kit.emit.runtime_files import replaced_sources, runtime_root
from quantmcu_kit.ir.manifest import LayerEntry, Manifest, SegmentEntry
from quantmcu_kit.ir.schedule import HaloMode

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_SEGMENT_BYTES, _MAP_BYTES, _SPAN_BYTES = 20, 20, 6  # of the structs in core/patch.h, with 32-bit pointers
_SCAN_BYTES, _SCORE_BYTES = 8, 2  # of core/scan.h
_EXCHANGE_BYTES = 12  # of branches/exchange.h
STACK_BYTES = 1152  # deepest chain run -> segment -> kernel -> primitive with its block of accumulators, rounded up
PACKED_STACK_BYTES = 1280  # the same where kernels have blocks of unpacked values too


@dataclass(frozen=True)
class Footprint:
    """Bytes of RAM and flash.

    Attributes:
        arena_bytes: exact.
        stack_bytes: a bound for the library's own calls.
        weights_bytes: constants, exact; tables of segments included.
        code_bytes: machine code and layer parameters, estimated.
        hot_bytes: constants that are in RAM too, exact.
    """

    arena_bytes: int
    stack_bytes: int
    weights_bytes: int
    code_bytes: int
    hot_bytes: int = 0

    @property
    def ram_bytes(self) -> int:
        """Arena, stack and constants that are copied."""
        return self.arena_bytes + self.stack_bytes + self.hot_bytes

    @property
    def flash_bytes(self) -> int:
        """Constants and code."""
        return self.weights_bytes + self.code_bytes


@lru_cache
def _sizes() -> dict[str, dict[str, int]]:
    return tomllib.loads((runtime_root() / "code_size.toml").read_text("utf-8"))


def estimate_footprint(manifest: Manifest) -> Footprint:
    """The footprint of a rendered library."""
    sizes, is_packed = _sizes(), _is_packed(manifest)
    runtime, parts = (sizes[f"packed_{table}" if is_packed else table] for table in ("runtime", "parts"))
    code = sizes["network"]["fixed"] + sum(
        sizes["network"]["per_call"] + sizes["parameters"][kernel]
        for layer in manifest.layers
        for kernel in layer.kernels
    )
    code += sum(_segment_code(manifest, segment) for segment in manifest.segments)
    if any(port.arena_offset is None for port in manifest.inputs):
        code += sizes["segments"]["pulled_input"]
    code += sum(runtime.get(stem, 0) for stem in _linked_sources(manifest))
    code += sum(parts.get(kernel, 0) for kernel in _in_segments(manifest))
    if any(map(_moves, manifest.segments)):
        code += parts["patch"]
    constants = manifest.weights_bytes + sum(map(table_bytes, manifest.segments))
    stack = PACKED_STACK_BYTES if is_packed else STACK_BYTES
    return Footprint(manifest.arena_bytes, stack, constants, code, manifest.hot_bytes)


def _is_packed(manifest: Manifest) -> bool:
    """Whether maps or weights have less than 8 bits."""
    return any(
        bits < 8 for layer in manifest.layers for bits in (layer.bits, layer.weight_bits or 8, *layer.class_bits)
    )


def _linked_sources(manifest: Manifest) -> frozenset[str]:
    """Names in the table of the C files whose code is part of a program: native ones in place of portable ones."""
    paths = [PurePosixPath(path) for path in manifest.files if path.startswith("src/") and path.endswith(".c")]
    native = frozenset(path for path in paths if path.parent.parent.name == "native")
    names = {f"{path.stem}__dsp" if path in native else path.stem for path in paths}
    return frozenset(names - replaced_sources() if native else names)


def table_bytes(segment: SegmentEntry) -> int:
    """Bytes of a segment's constant tables, exact: qmcu_segment_t, and of each map a qmcu_map_t and its spans; and what
    tells branch classes apart."""
    spans = segment.maps * (segment.rows + segment.columns) * _SPAN_BYTES
    each = _SEGMENT_BYTES + segment.maps * _MAP_BYTES
    classes = segment.classes
    if classes is None:
        return each + spans
    told_by = segment.rows * segment.columns if classes.of_patch else _SCAN_BYTES + classes.scores * _SCORE_BYTES
    return len(classes.names) * each + spans + told_by


def _in_segments(manifest: Manifest) -> frozenset[str]:
    """The kernels that segments call."""
    layers = (layer for segment in manifest.segments for layer in manifest.layers[segment.start : segment.end])
    return frozenset(kernel for layer in layers for kernel in layer.kernels)


def _moves(segment: SegmentEntry) -> bool:
    """Whether maps move between its patches; in a single column they lie still."""
    return segment.columns > 1 and segment.halo is not HaloMode.RECOMPUTE


def _segment_code(manifest: Manifest, segment: SegmentEntry) -> int:
    sizes, layers = _sizes()["segments"], manifest.layers[segment.start : segment.end]
    calls = sum(len(layer.kernels) for layer in layers)
    moved_maps = segment.maps if _moves(segment) else 0
    return (
        sizes["fixed"] + sizes["per_call"] * calls + sizes["per_moved_map"] * moved_maps + _class_code(layers, segment)
    )


def _class_code(layers: Sequence[LayerEntry], segment: SegmentEntry) -> int:
    """What branch classes add: parameters of their own in each layer, and their choice."""
    classes = segment.classes
    if classes is None:
        return 0
    sizes = _sizes()
    parameters = [sizes["parameters"][kernel] for layer in layers for kernel in layer.kernels]
    others = len(classes.names) - 1
    exchanged = sum(bool(layer.class_bits) for layer in layers) if segment.halo.keeps_rows else 0
    exchanges = exchanged * (len(classes.names) * _EXCHANGE_BYTES + sizes["segments"]["per_classed_call"])
    return others * sum(parameters) + sizes["segments"]["per_classed_call"] * len(parameters) + exchanges
