"""``qmkit eval``: top-1 accuracy of float, int8 and the compiled library."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from quantmcu_kit import evaluation, pipeline
from quantmcu_kit.cli import console, flags
from quantmcu_kit.evaluation import Evaluation
from quantmcu_kit.options import Options

Calibration = Annotated[
    Path | None,
    typer.Option(
        "--calibration", help="Other pictures for calibration. Default: those of --images.", show_default=False
    ),
]
Labelled = Annotated[
    Path | None,
    typer.Option("--images", help="Labelled pictures. Default: images/ beside the model.", show_default=False),
]


@console.command
def evaluate(
    model: flags.ModelPath,
    images: Labelled = None,
    calibration: Calibration = None,
    preprocess: flags.Preprocess = None,
    mean: flags.Mean = None,
    std: flags.Std = None,
    limit: flags.Limit = Options.limit,
    bits: flags.Bits = Options.bits,
    range: flags.Range = Options.range,
    rounding: flags.Rounding = Options.rounding,
    json: flags.Json = False,
) -> None:
    """Measure top-1 accuracy on labelled pictures: the model file, the integer reference, the compiled library."""
    options = Options(
        images=calibration,
        preprocess=preprocess,
        mean=mean,
        std=std,
        limit=limit,
        bits=bits,
        range=range,
        rounding=rounding,
    )
    with console.progress(not json) as progress:
        source = pipeline.load_model(model)
        result = evaluation.evaluate(source, options, images, progress)
    if calibration is None and not source.is_integer:
        console.warn("calibrated on the pictures that are measured: --calibration with others makes the figures honest")
    if result.skipped:
        console.warn(f"{result.skipped} pictures could not be decoded and were skipped")
    if json:
        console.print_json(dataclasses.asdict(result))
    else:
        _print(result)


def _print(result: Evaluation) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(f"top-1 on {result.n:,} pictures")
    table.add_column("%", justify="right")
    table.add_row("model file, TFLite runtime", f"{result.top1_float:.2f}")
    table.add_row("int8, Python reference", f"{result.top1_int8:.2f}")
    table.add_row("int8, compiled library", f"{result.top1_library:.2f}")
    table.add_row("same class as the model file", f"{result.agreement:.2f}")
    console.out.print(table)
