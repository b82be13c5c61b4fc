"""``qmkit verify``: a library's bytes against the integer reference."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from quantmcu_kit import calibrate
from quantmcu_kit.cli import console, flags
from quantmcu_kit.errors import EXIT_FAILED
from quantmcu_kit.ir.types import Quant
from quantmcu_kit.verify import VerifyResult, verify_library
from quantmcu_kit.verify.contents import read_manifest

_MOST_PICTURES = 250
_BATCH = 16

Extra = Annotated[
    Path | None,
    typer.Option("--images", help="More inputs: a folder, a CSV, or an .npz/.npy file.", show_default=False),
]


@console.command
def verify(library: flags.LibraryPath, images: Extra = None, json: flags.Json = False) -> None:
    """Compile a library on this machine and compare every output byte with the integer reference."""
    extra = _extra_inputs(library, images) if images else {}
    with console.progress(not json) as progress:
        progress("verify", 0, 1)
        result = verify_library(library, **extra)
        progress("verify", 1, 1)
    if json:
        console.print_json({"host": _facts(result)})
    else:
        _print(result)
    if not result.passed:
        raise typer.Exit(EXIT_FAILED)


def _extra_inputs(library: Path, images: Path) -> dict[str, object]:
    """The pictures (or arrays) as keyword arguments of ``verify_library``."""
    manifest = read_manifest(library)
    dataset = calibrate.open_dataset(images, manifest.inputs[0].shape[1:])
    batches = list(dataset.batches(_BATCH, limit=_MOST_PICTURES))
    skipped = sum(len(batch.skipped) for batch in batches)
    if skipped:
        console.warn(f"{skipped} pictures could not be decoded and were skipped")
    data = np.concatenate([batch.data for batch in batches])
    if data.dtype == np.uint8 and manifest.takes_pixels:
        return {"extra_pixels": data}
    if data.dtype == np.int8:
        return {"extra_inputs": [data]}
    entry = manifest.inputs[0]
    quant = Quant.per_tensor(entry.scale, entry.zero_point)
    return {"extra_inputs": [quant.quantize(data, -128, 127).astype(np.int8)]}


def _facts(result: VerifyResult) -> dict[str, object]:
    facts = {
        "vectors": result.vectors,
        "mismatches": result.mismatches,
        "compiler": result.compiler,
        "sanitizers": list(result.sanitizers),
    }
    if result.first_difference is not None:
        facts["first_difference"] = dataclasses.asdict(result.first_difference)
    return facts


def _print(result: VerifyResult) -> None:
    sanitized = f", sanitizers: {', '.join(result.sanitizers)}" if result.sanitizers else ""
    how = f"({result.compiler}{sanitized})"
    if result.passed:
        console.out.print(f"[bold green]verified[/bold green]  {result.vectors} inputs, every byte equal", how)
        return
    console.out.print(f"[bold red]failed[/bold red]  {result.mismatches} of {result.vectors} inputs differ", how)
    console.out.print(f"  first: {result.first_difference}", soft_wrap=True, markup=False)
