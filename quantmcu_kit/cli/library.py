"""What ``qmkit inspect`` shows of a library that was built: bits of each layer, by class of patch, and the classes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rich.table import Table

from quantmcu_kit.cli import console
from quantmcu_kit.cli.mix import grid_lines
from quantmcu_kit.ir.manifest import LayerEntry, Manifest, SegmentEntry
from quantmcu_kit.verify.contents import read_manifest


def inspect_library(path: Path, *, json: bool) -> None:
    """Show the layers of the library in folder ``path``.

    Raises:
        QmkitError: ``not-a-library``.
    """
    manifest = read_manifest(path)
    if json:
        console.print_json(_facts(manifest))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("", "operator", "output", "bits", "weights", "MACs", "constants"):
        table.add_column(title, justify="left" if title == "operator" else "right", no_wrap=True)
    for layer in manifest.layers:
        shape = "x".join(map(str, layer.shape[1:]))
        weights = f"{layer.weight_bits}" if layer.weight_bits else "-"
        macs = f"{layer.macs:,}" if layer.macs else "-"
        constants = f"{layer.weights_bytes:,}" if layer.weights_bytes else "-"
        table.add_row(f"{layer.index:02d}", layer.op, shape, _bits_text(layer), weights, macs, constants)
    console.out.print(table)
    for index, segment in enumerate(manifest.segments):
        _print_segment(index, segment)
    console.out.print(
        f"{manifest.name} for {manifest.board}: {manifest.macs / 1e6:,.2f} M MACs, arena {manifest.arena_bytes:,} B, "
        f"constants {manifest.weights_bytes:,} B"
    )


def _facts(manifest: Manifest) -> dict[str, object]:
    return {
        "name": manifest.name,
        "board": manifest.board,
        "model_sha256": manifest.model_sha256,
        "macs": manifest.macs,
        "arena_bytes": manifest.arena_bytes,
        "weights_bytes": manifest.weights_bytes,
        "hot_bytes": manifest.hot_bytes,
        "layers": [
            {
                "index": layer.index,
                "op": layer.op,
                "name": layer.name,
                "shape": list(layer.shape),
                "bits": layer.bits,
                "class_bits": list(layer.class_bits),
                "weight_bits": layer.weight_bits,
                "macs": layer.macs,
                "weights_bytes": layer.weights_bytes,
            }
            for layer in manifest.layers
        ],
        "segments": [dataclasses.asdict(segment) | {"halo": segment.halo.value} for segment in manifest.segments],
    }


def _bits_text(layer: LayerEntry) -> str:
    """One width, or one per class of patch: ``8|4``."""
    return "|".join(map(str, layer.class_bits or (layer.bits,)))


def _print_segment(index: int, segment: SegmentEntry) -> None:
    console.out.print(
        f"segment {index}: layers {segment.start:02d}-{segment.end - 1:02d} in {segment.rows}x{segment.columns} patches"
    )
    if segment.classes is None:
        return
    console.out.print(f"    classes of patches, in the order of their bits: {', '.join(segment.classes.names)}")
    if segment.classes.of_patch is None:
        console.out.print("    each picture decides: a scan of the patch, when the patch begins")
        return
    for line in grid_lines(segment.classes.of_patch):
        console.out.print(f"    {line}")
