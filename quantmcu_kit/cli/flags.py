"""Command-line flags that several commands share; the options of a build mirror ``options.Options``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantmcu_kit.options import help_of

ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="A .tflite file.", show_default=False)]
LibraryPath = Annotated[
    Path, typer.Argument(metavar="LIB", help="A folder that `qmkit build` wrote.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]

Board = Annotated[str, typer.Option("--board", help=help_of("board"))]
Images = Annotated[Path | None, typer.Option("--images", help=help_of("images"), show_default=False)]
Preprocess = Annotated[str | None, typer.Option("--preprocess", help=help_of("preprocess"), show_default=False)]
Mean = Annotated[str | None, typer.Option("--mean", help=help_of("mean"), show_default=False)]
Std = Annotated[str | None, typer.Option("--std", help=help_of("std"), show_default=False)]
Limit = Annotated[int, typer.Option("--limit", help=help_of("limit"))]
Bits = Annotated[str, typer.Option("--bits", metavar="8|auto", help=help_of("bits"))]
Range = Annotated[str, typer.Option("--range", help=help_of("range"))]
Rounding = Annotated[str, typer.Option("--rounding", help=help_of("rounding"))]
Name = Annotated[str | None, typer.Option("--name", help=help_of("name"), show_default=False)]
Output = Annotated[Path | None, typer.Option("--output", help=help_of("output"), show_default=False)]
Force = Annotated[bool, typer.Option("--force", help=help_of("force"))]
Patches = Annotated[str, typer.Option("--patches", metavar="auto|off|RxC|FILE", help=help_of("patches"))]
Optimize = Annotated[str, typer.Option("--optimize", metavar="latency|ram", help=help_of("optimize"))]
CostLimit = Annotated[float | None, typer.Option("--cost-limit", help=help_of("cost_limit"), show_default=False)]
Ram = Annotated[int | None, typer.Option("--ram", help=help_of("ram"), show_default=False)]
Halo = Annotated[str | None, typer.Option("--halo", help=help_of("halo"), show_default=False)]
Input = Annotated[str, typer.Option("--input", metavar="auto|arena|rows", help=help_of("input"))]
Cost = Annotated[
    str | None, typer.Option("--cost", metavar="cycles|macs|bitops", help=help_of("cost"), show_default=False)
]
Search = Annotated[str, typer.Option("--search", help=help_of("search"))]
Proxy = Annotated[str, typer.Option("--proxy", metavar="kl|entropy", help=help_of("proxy"))]
TradeOff = Annotated[float | None, typer.Option("--trade-off", help=help_of("trade_off"), show_default=False)]
Vdpc = Annotated[str, typer.Option("--vdpc", metavar="auto|off|static|dynamic", help=help_of("vdpc"))]
VdpcRule = Annotated[str, typer.Option("--vdpc-rule", metavar="gaussian|error", help=help_of("vdpc_rule"))]
Phi = Annotated[float, typer.Option("--phi", help=help_of("phi"))]
MapWidths = Annotated[str, typer.Option("--map-widths", help=help_of("map_widths"))]
WeightWidths = Annotated[str, typer.Option("--weight-widths", help=help_of("weight_widths"))]
BitOps = Annotated[float | None, typer.Option("--bitops", help=help_of("bitops"), show_default=False)]
Flash = Annotated[int | None, typer.Option("--flash", help=help_of("flash"), show_default=False)]
Latency = Annotated[float | None, typer.Option("--latency", help=help_of("latency"), show_default=False)]
