"""``qmkit eval``: top-1 accuracy of the model file, the library at 8 bits, and the mix of widths."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from quantmcu_kit import evaluation, pipeline
from quantmcu_kit.cli import console, flags
from quantmcu_kit.evaluation import Accuracy, Evaluation
from quantmcu_kit.numerics.intervals import Interval95
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
@flags.with_options("name", "output", "force", "optimize", "cost_limit", "input")
def evaluate(
    model: flags.ModelPath,
    options: Options,
    images: Labelled = None,
    calibration: Calibration = None,
    json: flags.Json = False,
) -> None:
    """Measure top-1 accuracy on labelled pictures: the model file, the library at 8 bits, the mix of --bits auto."""
    options = dataclasses.replace(options, images=calibration)
    with console.progress(not json) as progress:
        source = pipeline.load_model(model)
        result = evaluation.evaluate(source, options, images, progress)
    if calibration is None and not source.is_integer:
        console.warn("calibrated on the pictures that are measured: --calibration with others makes the figures honest")
    if result.skipped:
        console.warn(f"{result.skipped} pictures could not be decoded and were skipped")
    if json:
        console.print_json(_facts(result))
    else:
        _print(result)


def _forms(result: Evaluation) -> tuple[tuple[str, Accuracy], ...]:
    forms = (("float", result.model), ("int8", result.int8), ("mix", result.mix))
    return tuple((name, accuracy) for name, accuracy in forms if accuracy is not None)


def _facts(result: Evaluation) -> dict[str, object]:
    facts: dict[str, object] = {"n": result.n, "skipped": result.skipped}
    for name, accuracy in _forms(result):
        facts[f"top1_{name}"] = round(accuracy.top1.value, 2)
        facts[f"interval95_{name}"] = _ends(accuracy.top1)
        if accuracy.lost is not None:
            facts[f"lost_{name}"] = round(accuracy.lost.value, 2)
            facts[f"lost_interval95_{name}"] = _ends(accuracy.lost)
            facts[f"agreement_{name}"] = accuracy.agreement
    return facts


def _ends(interval: Interval95) -> list[float]:
    return [round(interval.low, 2), round(interval.high, 2)]


_TITLES = {"float": "model file, TFLite runtime", "int8": "library, 8 bits", "mix": "library, 8, 4 and 2 bits"}


def _print(result: Evaluation) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(f"{result.n:,} pictures")
    for title in ("top-1 %", "95 % interval", "points lost", "95 % interval", "same class %"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, accuracy in _forms(result):
        cells = [f"{accuracy.top1.value:.2f}", _span(accuracy.top1)]
        if accuracy.lost is not None:
            cells += [f"{accuracy.lost.value:+.2f}", _span(accuracy.lost), f"{accuracy.agreement:.2f}"]
        table.add_row(_TITLES[name], *cells)
    console.out.print(table)


def _span(interval: Interval95) -> str:
    return f"{interval.low:.2f} .. {interval.high:.2f}"
