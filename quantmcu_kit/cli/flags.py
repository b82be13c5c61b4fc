"""Command-line flags that several commands share; the options of a build are those of ``options.Options``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from quantmcu_kit.options import Options, field_of

ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="A .tflite file.", show_default=False)]
LibraryPath = Annotated[
    Path, typer.Argument(metavar="LIB", help="A folder that `qmkit build` wrote.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def flag(name: str) -> Any:
    """The annotation of a parameter that is the option ``name`` of a build."""
    entry = field_of(name)
    option = typer.Option(
        "--" + name.replace("_", "-"),
        metavar=entry.metadata["metavar"],
        help=entry.metadata["help"],
        show_default=entry.default is not None,
    )
    return Annotated[get_type_hints(Options)[name], option]


Board = flag("board")
Optimize = flag("optimize")
Ram = flag("ram")
Input = flag("input")


def with_options(*left_out: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A command with a parameter ``options`` takes a flag for each option of a build, but those that are left out.

    The flags stand where ``options`` does; a flag of the command's own takes the place of the option of its name.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = signature(command, eval_str=True).parameters
        names = [entry.name for entry in fields(Options) if entry.name not in {*own, *left_out}]
        parameters: list[Parameter] = []
        for parameter in own.values():
            added = [_parameter(name) for name in names] if parameter.name == "options" else [parameter]
            parameters += added

        @functools.wraps(command)
        def run(**values: Any) -> Any:
            options = Options(**{name: values.pop(name) for name in names})
            return command(options=options, **values)

        run.__signature__ = signature(command).replace(parameters=parameters, return_annotation=None)
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def _parameter(name: str) -> Parameter:
    return Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=field_of(name).default, annotation=flag(name))
