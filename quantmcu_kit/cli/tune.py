"""``qmkit tune``: train a network in the widths that it is to have, without labels."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from quantmcu_kit import accuracy, pipeline, tuning
from quantmcu_kit.accuracy import Tuned, TuneSettings
from quantmcu_kit.cli import console, flags
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.options import Options
from quantmcu_kit.user_cache import user_cache

Minutes = Annotated[
    float, typer.Option("--minutes", help="How long to train: the first batches tell how many iterations that makes.")
]
Epochs = Annotated[
    float | None,
    typer.Option("--epochs", help="How often each picture is trained on, in place of --minutes.", show_default=False),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", help="File to write. Default: NAME.qmtune, in this folder.", show_default=False),
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace --output, whatever it is, and tune even what does not fit the board.")
]


@console.command
@flags.with_options("vdpc", "vdpc_rule", "phi", "name", "tuned")
def tune(
    model: flags.ModelPath,
    options: Options,
    minutes: Minutes = 20.0,
    epochs: Epochs = None,
    output: Output = None,
    force: Force = False,
    json: flags.Json = False,
) -> None:
    """Train the quantized network to give what the float network gives, on pictures without labels."""
    started = time.monotonic()
    options = dataclasses.replace(options, vdpc="off", force=force)  # classes of patches are not trained
    settings = _settings(minutes, epochs)
    target = output or Path(model.with_suffix(accuracy.SUFFIX).name)
    accuracy.check_writable(target, force=force)
    with console.progress(not json) as progress:
        source = pipeline.load_model(model)
        tuned = tuning.tune(source, options, settings, progress)
    accuracy.write(tuned, target)
    if json:
        console.print_json(_facts(tuned, target, time.monotonic() - started))
    else:
        _print(tuned, target, model)
    if tuned.done < tuned.total and not tuned.is_interrupted:
        console.warn("training was given up: the network got far worse than the start again and again")
    if tuned.is_interrupted:
        console.warn("interrupted: the best so far is kept, and the same command goes on where it was")
        raise typer.Exit(console.EXIT_INTERRUPTED)


def _settings(minutes: float, epochs: float | None) -> TuneSettings:
    for name, value in (("minutes", minutes), ("epochs", epochs)):
        if value is not None and not 0 < value < float("inf"):
            raise QmkitError(
                "bad-option", f"--{name} {value} is not possible", why="it is a number above 0", hint=f"--{name} 20"
            )
    return TuneSettings(seconds=60 * minutes, epochs=epochs, cache=user_cache("tuning"))


def _facts(tuned: Tuned, target: Path, seconds: float) -> dict[str, object]:
    result = tuned.result
    return {
        "output": str(target),
        "loss": "kl" if tuned.are_classes else "squared",
        "before": tuned.before,
        "after": tuned.after,
        "pictures": tuned.pictures,
        "iterations": tuned.done,
        "of_iterations": tuned.total,
        "interrupted": tuned.is_interrupted,
        "bits": {tensor: dict(by_class) for tensor, by_class in result.feature_maps.items()},
        "weight_bits": dict(result.weights),
        "seconds": round(seconds, 1),
    }


def _print(tuned: Tuned, target: Path, model: Path) -> None:
    rows = Table.grid(padding=(0, 2))
    unit = "nats of KL divergence" if tuned.are_classes else "variances of squared error"
    maps = Counter(bits for by_class in tuned.result.feature_maps.values() for bits in by_class.values())
    for label, value in (
        ("bits", f"feature maps {_counts(maps)}; weights {_counts(Counter(tuned.result.weights.values()))}"),
        ("trained", f"{tuned.done:,} of {tuned.total:,} iterations on {tuned.pictures:,} pictures"),
        ("loss", f"{tuned.before:.4f} -> {tuned.after:.4f} {unit}, on pictures held out"),
        ("written", str(target)),
        ("", f"qmkit build {model} --tuned {target} ..."),
    ):
        rows.add_row(label, value)
    console.out.print(rows)


def _counts(counts: Counter[int]) -> str:
    return ", ".join(f"{counts[bits]} of {bits} bits" for bits in sorted(counts, reverse=True))
