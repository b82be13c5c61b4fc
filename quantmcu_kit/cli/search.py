"""``qmkit search``: several searches for widths at one budget, side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from quantmcu_kit import comparison, pipeline
from quantmcu_kit.cli import console, flags
from quantmcu_kit.cli.search_plot import draw
from quantmcu_kit.comparison import STRATEGIES, Comparison, Row
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.options import Options

Strategies = Annotated[str, typer.Option("--strategies", help="Searches to compare, as a list.")]
Labelled = Annotated[
    Path | None,
    typer.Option("--eval-images", help="Labelled pictures to measure accuracy on.", show_default=False),
]
_DEFAULT = ",".join(STRATEGIES)
Plot = Annotated[Path | None, typer.Option("--plot", help="Draw the comparison as SVG.", show_default=False)]


@console.command
@flags.with_options("bits", "search", "name", "output", "tuned")
def search(
    model: flags.ModelPath,
    options: Options,
    strategies: Strategies = _DEFAULT,
    vdpc: flags.flag("vdpc") = "off",
    eval_images: Labelled = None,
    plot: Plot = None,
    json: flags.Json = False,
) -> None:
    """Compare searches for widths: at the same budgets, on the same calibration and the same measured losses."""
    names = [name.strip() for name in strategies.split(",") if name.strip()]
    options = dataclasses.replace(options, vdpc=vdpc)
    _check_folder(plot)
    with console.progress(not json) as progress:
        source = pipeline.load_model(model)
        result = comparison.compare(source, options, names, eval_images, progress)
    if plot is not None:
        _write(plot, draw(result, source.path.name))
    if json:
        console.print_json(_facts(result, plot))
    else:
        _print(result, plot)


def _check_folder(plot: Path | None) -> None:
    """Refuse a drawing that cannot be written before the user waits for it."""
    if plot is not None and not plot.absolute().parent.is_dir():
        raise _not_writable(plot, "there is no such folder")


def _write(plot: Path, text: str) -> None:
    try:
        plot.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _not_writable(plot, error.strerror or str(error)) from None


def _not_writable(plot: Path, why: str) -> QmkitError:
    return QmkitError("not-writable", f"cannot write {plot}", why=why, hint="--plot FILE.svg in a folder that exists")


def _facts(result: Comparison, plot: Path | None) -> dict[str, object]:
    facts: dict[str, object] = {
        "board": result.board.id,
        "rows": [_row_facts(row) for row in result.rows],
        "failures": [
            {"strategy": name, "code": error.code, "message": error.message, "why": error.why}
            for name, error in result.failures
        ],
    }
    if result.model is not None:
        facts |= {"n": result.n, "top1_float": round(result.model.top1.value, 2)}
    return facts | {"plot": None if plot is None else str(plot)}


def _row_facts(row: Row) -> dict[str, object]:
    facts: dict[str, object] = {
        "strategy": row.strategy,
        "predicted": row.predicted,
        "divergence": row.divergence,
        "gap": row.gap,
        "bitops": row.bitops,
        "cycles": row.cycles,
        "ram_bytes": row.ram_bytes,
        "flash_bytes": row.flash_bytes,
        "search_seconds": round(row.seconds, 3),
        "bits": {str(bits): count for bits, count in sorted(row.maps.items(), reverse=True)},
        "weight_bits": {str(bits): count for bits, count in sorted(row.weights.items(), reverse=True)},
    }
    if row.accuracy is not None:
        lost = row.accuracy.lost
        facts |= {"top1": round(row.accuracy.top1.value, 2), "lost": round(lost.value, 2)}
        facts["lost_interval95"] = [round(lost.low, 2), round(lost.high, 2)]
    return facts


def _print(result: Comparison, plot: Path | None) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("", no_wrap=True)
    titles = ["predicted", "measured", "÷BitOPs", "Mcycles", "RAM", "flash", "s", "maps", "weights"]
    for title in titles + ([] if result.model is None else ["top-1"]):
        table.add_column(title, justify="right", no_wrap=True)
    whole = result.rows[0].bitops
    for row in result.rows:
        table.add_row(
            row.strategy,
            f"{row.predicted:.3f}",
            f"{row.divergence:.3f}",
            f"{whole / max(1, row.bitops):.2f}",
            "-" if row.cycles is None else f"{row.cycles / 1e6:,.1f}",
            f"{row.ram_bytes / 1024:,.1f}",
            f"{row.flash_bytes / 1024:,.0f}",
            f"{row.seconds:.1f}",
            _counts(row.maps),
            _counts(row.weights),
            *([] if row.accuracy is None else [f"{row.accuracy.top1.value:.2f}"]),
        )
    console.out.print(table)
    console.out.print("RAM and flash in KiB; maps and weights: how many of 8/4/2 bits", style="dim")
    for name, error in result.failures:
        console.warn(f"{name}: {error.message}" + (f" ({error.why})" if error.why else ""))
    if result.model is not None:
        console.out.print(f"model file: {result.model.top1.value:.2f} % on {result.n:,} pictures; points lost:")
        for row in result.rows:
            console.out.print(f"  {row.strategy:<14} {row.accuracy.lost}")
    if plot is not None:
        console.out.print(f"drawn to {plot}")


def _counts(widths: Mapping[int, int]) -> str:
    return "/".join(str(widths.get(bits, 0)) for bits in (8, 4, 2))
