"""``qmkit``: the application object and its global options."""

from __future__ import annotations

from typing import Annotated

import typer

from quantmcu_kit import __version__
from quantmcu_kit.cli import bench, boards, build, console, emulate, eval, inspect, search, toolchain, tune, verify

app = typer.Typer(
    name="qmkit",
    help="Put a pretrained .tflite network on a microcontroller.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(requested: bool) -> None:
    if requested:
        console.out.print(f"qmkit {__version__}")
        raise typer.Exit()


@app.callback()
def _global_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected failure.")] = False,
) -> None:
    console.set_debug(debug)


app.command("build")(build.build)
app.command("inspect")(inspect.inspect)
app.command("eval")(eval.evaluate)
app.command("search")(search.search)
app.command("tune")(tune.tune)
app.command("verify")(verify.verify)
app.command("bench")(bench.bench)
app.command("emulate")(emulate.emulate)
app.command("boards")(boards.boards)
app.command("toolchain", hidden=True)(toolchain.toolchain)


def main() -> None:
    """Entry point of the ``qmkit`` script."""
    app()
