"""``qmkit build``: a model in, a library out."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table
from rich.text import Text

from quantmcu_kit import emit, pipeline
from quantmcu_kit.cli import console, flags
from quantmcu_kit.cli.latency import latency_lines
from quantmcu_kit.cli.mix import mix_facts, mix_lines
from quantmcu_kit.cli.stages import stage_facts, stage_table
from quantmcu_kit.errors import EXIT_FAILED, QmkitError
from quantmcu_kit.options import Options
from quantmcu_kit.pipeline import Build, Model

_BAR = 24  # characters


@console.command
@flags.with_options()
def build(model: flags.ModelPath, options: Options, json: flags.Json = False) -> None:
    """Calibrate, quantize, plan patches and memory, and write the library."""
    with console.progress(not json) as progress:
        source = pipeline.load_model(model)
        result = pipeline.build(source, options, progress)
    for warning in result.quantized.warnings:
        console.warn(warning)
    if not result.fits and not options.force:
        raise _does_not_fit(result)
    target = options.output or Path("lib") / result.manifest.name
    emit.write(result.files, target, force=options.force)
    if json:
        console.print_json(_summary(result, target))
    else:
        _print_summary(source, result, target)


def _summary(result: Build, target: Path) -> dict[str, object]:
    manifest, footprint = result.manifest, result.footprint
    return {
        "board": result.board.id,
        "model_sha256": manifest.model_sha256,
        "fits": result.fits,
        "ram_bytes": footprint.ram_bytes,
        "ram_free_bytes": result.board.free_ram_bytes,
        "arena_bytes": manifest.arena_bytes,
        "arena_lower_bound_bytes": manifest.arena_lower_bound_bytes,
        "external_bytes": manifest.external_bytes,
        "input": "rows" if result.layout.schedule.pulls_input else "arena",
        "stages": stage_facts(result.quantized.graph, result.layout.schedule, result.layout.memory),
        "flash_bytes": footprint.flash_bytes,
        "flash_free_bytes": result.board.free_flash_bytes,
        "weights_bytes": manifest.weights_bytes,
        "hot_bytes": manifest.hot_bytes,
        "macs": manifest.macs,
        "latency_ms": result.latency.milliseconds if result.latency else None,
        "calibration_pictures": result.quantized.calibration_pictures,
        "preprocess": _preprocess_text(result),
        **mix_facts(result),
        "layers": [
            {
                "index": layer.index,
                "op": layer.op,
                "name": layer.name,
                "shape": list(layer.shape),
                "macs": layer.macs,
                "weights_bytes": layer.weights_bytes,
                "cycles": result.latency.layers[layer.index] if result.latency else None,
            }
            for layer in manifest.layers
        ],
        "warnings": list(result.quantized.warnings),
        "library": str(target),
    }


def _preprocess_text(result: Build) -> str:
    preprocess = result.quantized.preprocess
    return f"{preprocess.name} ({preprocess.origin})" if preprocess else "none"


def _print_summary(source: Model, result: Build, target: Path) -> None:
    manifest, footprint, board = result.manifest, result.footprint, result.board
    pictures = result.quantized.calibration_pictures
    rows = Table.grid(padding=(0, 2))
    for label, value in (
        ("model", f"{source.path.name}: {source.kind.value}, {len(manifest.layers)} layers, "
                  f"{manifest.macs / 1e6:,.2f} M MACs"),
        ("input", f"{'x'.join(map(str, source.sample_shape))}, {_preprocess_text(result)}"),
        ("ranges", "its own, kept" if source.is_integer else f"calibrated on {pictures} pictures"),
        *mix_lines(result),
        ("RAM", _usage(footprint.ram_bytes, board.free_ram_bytes)),
        ("", f"arena {manifest.arena_bytes:,} B (lower bound {manifest.arena_lower_bound_bytes:,}), "
             f"stack up to {footprint.stack_bytes:,} B"),
        *([("", f"weights copied from flash {manifest.hot_bytes:,} B")] if manifest.hot_bytes else []),
        *([("", f"and {manifest.external_bytes:,} B of external RAM")] if manifest.external_bytes else []),
        ("flash", _usage(footprint.flash_bytes, board.free_flash_bytes)),
        ("", f"weights and tables {manifest.weights_bytes:,} B, code about {footprint.code_bytes:,} B"),
        *zip(("latency", ""), latency_lines(result.latency, board), strict=False),
        ("library", Text(str(target), style="bold green")),
    ):  # fmt: skip
        rows.add_row(label, value)
    console.out.print(rows)
    if result.layout.schedule.is_patched:
        layout = result.layout
        facts = stage_facts(result.quantized.graph, layout.schedule, layout.memory)
        console.out.print(stage_table(facts, board.free_ram_bytes - footprint.stack_bytes))


def _usage(used: int, free: int) -> Text:
    """A bar of ``used`` in ``free`` bytes, red where it overflows."""
    filled = min(_BAR, round(_BAR * used / free))
    style = "green" if used <= free else "red"
    bar = Text("█" * filled, style) + Text("░" * (_BAR - filled), "dim")
    return bar + Text(f"  {used / 1024:,.1f} of {free / 1024:,.1f} KiB ({100 * used / free:.0f} %)")


def _does_not_fit(result: Build) -> QmkitError:
    footprint, board = result.footprint, result.board
    parts = []
    if result.manifest.external_bytes > board.psram_bytes:
        parts.append(f"{result.manifest.external_bytes:,} B of external RAM where {board.psram_bytes:,} B are")
    if footprint.ram_bytes > board.free_ram_bytes:
        parts.append(f"{footprint.ram_bytes:,} B of RAM where {board.free_ram_bytes:,} B are free")
    if footprint.flash_bytes > board.free_flash_bytes:
        parts.append(f"{footprint.flash_bytes:,} B of flash where {board.free_flash_bytes:,} B are free")
    why = (
        f"of {board.ram_bytes:,} B RAM and {board.flash_bytes:,} B flash the core takes "
        f"{board.core_ram_bytes:,} B and {board.core_flash_bytes:,} B"
    )
    holder = result.layout.choice.holder
    return QmkitError(
        "does-not-fit",
        f"{result.manifest.name} does not fit {board.id}: it needs {' and '.join(parts)}",
        where=f"{holder.layer} takes most RAM" if holder else "",
        why=f"{why}; {holder.contents}" if holder else why,
        hint="choose a larger board (`qmkit boards`) or a smaller network; --force writes the library all the same",
        exit_code=EXIT_FAILED,
    )
