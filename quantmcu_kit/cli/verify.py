"""``qmkit verify``: a library's bytes against the integer reference, on this machine and on an emulated board."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.text import Text

from quantmcu_kit import calibrate
from quantmcu_kit.boards import catalog
from quantmcu_kit.cli import console, flags
from quantmcu_kit.errors import EXIT_ENVIRONMENT, EXIT_FAILED, QmkitError
from quantmcu_kit.ir.types import Quant
from quantmcu_kit.verify import BoardResult, VerifyResult, verify_library, verify_on_board
from quantmcu_kit.verify.contents import read_manifest

_MOST_PICTURES = 250
_BATCH = 16

Extra = Annotated[
    Path | None,
    typer.Option("--images", help="More inputs: a folder, a CSV, or an .npz/.npy file.", show_default=False),
]


OnBoard = Annotated[
    str | None,
    typer.Option("--board", help="Board to emulate. Default: the one it was built for.", show_default=False),
]
HostOnly = Annotated[bool, typer.Option("--host-only", help="Leave the emulated board out.")]


@console.command
def verify(
    library: flags.LibraryPath,
    images: Extra = None,
    board: OnBoard = None,
    host_only: HostOnly = False,
    json: flags.Json = False,
) -> None:
    """Compile a library here and for an emulated board, and compare every output byte with the integer reference."""
    extra = _extra_inputs(library, images) if images else {}
    with console.progress(not json) as progress:
        progress("verify", 0, 2)
        result = verify_library(library, **extra)
        progress("verify", 1, 2)
        emulated = "--host-only was given" if host_only else _emulate(library, board)
        progress("verify", 2, 2)
    if json:
        on_board = None if isinstance(emulated, str) else dataclasses.asdict(emulated)
        console.print_json({"host": _facts(result), "emulated": on_board})
    else:
        _print(result)
        _print_emulated(emulated)
    if not result.passed or not (isinstance(emulated, str) or emulated.passed):
        raise typer.Exit(EXIT_FAILED)


def _emulate(library: Path, board: str | None) -> BoardResult | str:
    """The result on the emulated board, or why there is none: only a board that was asked for must be there."""
    try:
        return verify_on_board(library, catalog.find(board or read_manifest(library).board))
    except QmkitError as error:
        lacking = error.exit_code == EXIT_ENVIRONMENT or error.code in ("not-emulated", "does-not-fit")
        if board is not None or not lacking:
            raise
        return f"{error.message} ({error.hint})"


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


def _print_emulated(result: BoardResult | str) -> None:
    if isinstance(result, str):
        console.out.print(Text.assemble(("emulated  not run: ", "dim"), result), soft_wrap=True)
        return
    how = f"({result.compiler}, {result.cycles:,} cycles)"
    if result.passed:
        line = f"[bold green]verified[/bold green]  {result.vectors} golden vectors on the emulated {result.board}"
        console.out.print(line, how, soft_wrap=True)
        return
    line = f"[bold red]failed[/bold red]  {result.mismatches} of {result.vectors} golden vectors differ on the emulated"
    console.out.print(line, result.board, how, soft_wrap=True)
