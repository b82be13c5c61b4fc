"""Terminal output shared by the commands: errors, warnings, progress, JSON."""

from __future__ import annotations

import functools
import json as json_module
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from quantmcu_kit.errors import QmkitError

EXIT_INTERNAL = 4  # a defect of qmkit itself
EXIT_INTERRUPTED = 130  # Ctrl-C, as shells count it

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
_debug = False


def set_debug(enabled: bool) -> None:
    """Let unexpected exceptions through as tracebacks."""
    global _debug
    _debug = enabled


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json_module.dumps(value, indent=2, sort_keys=False) + "\n")


def warn(message: str) -> None:
    """A warning on standard error."""
    err.print(Text.assemble(("warning: ", "bold yellow"), message), soft_wrap=True)


def _report(error: QmkitError, as_json: bool) -> None:
    if as_json:
        fields = {name: getattr(error, name) for name in ("code", "message", "where", "why", "hint")}
        print_json({"error": fields})
        return
    err.print(Text.assemble((f"error[{error.code}]", "bold red"), f": {error.message}"), soft_wrap=True)
    for label, text in error.details():
        err.print(Text.assemble((f"  {label:<6} ", "dim"), text), soft_wrap=True)


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a command: a QmkitError becomes a rendered message and its exit code, nothing becomes a traceback."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        as_json = bool(kwargs.get("json"))
        try:
            return function(*args, **kwargs)
        except QmkitError as error:
            _report(error, as_json)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            err.print("interrupted; nothing was left half-written")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except BrokenPipeError:
            raise typer.Exit(0) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if _debug:
                raise
            summary = f"{type(error).__name__}: {error}".rstrip(": ")
            hint = "run `qmkit --debug ...` for the traceback and report it with the model, if you can share it"
            internal = QmkitError("internal", summary, why="this is a defect of qmkit, not of your input", hint=hint)
            _report(internal, as_json)
            raise typer.Exit(EXIT_INTERNAL) from None

    return wrapped


ProgressCallback = Callable[[str, int, int], None]


@contextmanager
def progress(enabled: bool = True) -> Iterator[ProgressCallback]:
    """A callback (stage, done, total) that draws bars on a terminal and is silent elsewhere."""
    if not (enabled and err.is_terminal):
        yield lambda stage, done, total: None
        return
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), *times)
    with Progress(*columns, console=err, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def update(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield update
