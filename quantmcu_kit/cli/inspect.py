"""``qmkit inspect``: what is in a model, and what the kit supports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from quantmcu_kit import pipeline, tflite
from quantmcu_kit.boards import catalog
from quantmcu_kit.boards.catalog import Board
from quantmcu_kit.cli import console, flags
from quantmcu_kit.cli.latency import latency_lines
from quantmcu_kit.cli.library import inspect_library
from quantmcu_kit.cli.stages import stage_facts, stage_table
from quantmcu_kit.emit.latency import Latency, estimate_latency
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.layout import Layout, arena_limit, lay_out
from quantmcu_kit.ops.interpret import kernel_calls
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.options import Options
from quantmcu_kit.patch.plan import front_json
from quantmcu_kit.pipeline import Model

_PLANS_SHOWN = 12
_GRIDS_SHOWN = 6
_WIDE = 100  # columns of a terminal in which kernels are shown


@console.command
def inspect(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="A .tflite file, or a library.", show_default=False)
    ] = None,
    board: Annotated[str, typer.Option("--board", help="Board to estimate the latency for.")] = Options.board,
    patches: Annotated[
        bool, typer.Option("--patches", help="Plan patches for the board, and show the stages and what else there is.")
    ] = False,
    optimize: flags.Optimize = Options.optimize,
    ram: flags.Ram = None,
    input: flags.Input = Options.input,
    support: Annotated[bool, typer.Option("--support", help="List the supported operators and their forms.")] = False,
    json: flags.Json = False,
) -> None:
    """Show a model's layers, work, memory and estimated latency at 8 bits, or the bits of a built library."""
    if support:
        _print_support(json)
        return
    if model is None:
        raise QmkitError("bad-usage", "no model was given", hint="qmkit inspect MODEL, or qmkit inspect --support")
    if Path(model).is_dir():
        inspect_library(Path(model), json=json)
        return
    target = catalog.find(board)
    source = pipeline.load_model(Path(model))
    graph = pipeline.sized_graph(source)
    options = Options(board=board, optimize=optimize, ram=ram, input=input, patches="auto" if patches else "off")
    layout = lay_out(graph, target, options)
    latency = estimate_latency(layout.graph, target, layout.schedule, layout.memory)
    facts = _facts(source, layout.graph, layout, target, latency)
    if json:
        console.print_json(facts)
    else:
        _print_facts(source, facts, target, latency)
        if patches:
            _print_patches(facts, arena_limit(target, options))


def _facts(source: Model, graph: Graph, layout: Layout, board: Board, latency: Latency | None) -> dict[str, object]:
    layers = []
    for index, node in enumerate(graph.nodes):
        output = graph.tensors[node.output]
        cost = TABLE[node.op].cost(node.attrs, graph.input_tensors(node), output)
        weights = sum(
            tensor.elements for tensor in graph.input_tensors(node) if tensor is not None and tensor.is_constant
        )
        layers.append(
            {
                "index": index,
                "op": node.op,
                "name": node.name,
                "shape": list(output.shape),
                "macs": cost.macs,
                "parameters": weights,
                "map_bytes": output.elements,
                "kernels": [call.kernel for call in kernel_calls(graph, node)],
                "cycles": latency.layers[index] if latency else None,
            }
        )
    plan = layout.memory
    return {
        "model_sha256": graph.sha256,
        "kind": source.kind.value,
        "inputs": [_port(port) for port in graph.inputs],
        "outputs": [_port(port) for port in graph.outputs],
        "macs": sum(layer["macs"] for layer in layers),
        "parameters": sum(layer["parameters"] for layer in layers),
        "removed_channels": source.removed_channels,
        "arena_bytes": plan.arena_bytes,
        "arena_lower_bound_bytes": plan.lower_bound_bytes,
        "board": board.id,
        "latency_ms": latency.milliseconds if latency else None,
        "layers": layers,
        "stages": stage_facts(graph, layout.schedule, layout.memory),
        "front": front_json(layout.choice.front),
    }


def _port(port: object) -> dict[str, object]:
    return {"name": port.name, "shape": list(port.shape), "dtype": port.dtype.value}


def _print_facts(source: Model, facts: dict, board: Board, latency: Latency | None) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    shows_kernels = console.out.width >= _WIDE
    titles = ("", "operator", "output", "MACs", "parameters", "map", *(["ms"] if latency else []))
    for title in (*titles, *(["kernel"] if shows_kernels else [])):
        table.add_column(title, justify="left" if title in ("operator", "kernel") else "right", no_wrap=True)
    for layer in facts["layers"]:
        shape = "x".join(map(str, layer["shape"][1:]))
        figures = [f"{layer[key]:,}" if layer[key] else "-" for key in ("macs", "parameters", "map_bytes")]
        if latency:
            figures.append(f"{latency.milliseconds_of(layer['cycles']):,.2f}" if layer["cycles"] else "-")
        if shows_kernels:
            figures.append(", ".join(layer["kernels"]) or "-")
        table.add_row(f"{layer['index']:02d}", layer["op"], shape, *figures)
    console.out.print(table)
    for kind in ("inputs", "outputs"):
        for port in facts[kind]:
            console.out.print(f"{kind[:-1]:<8}{'x'.join(map(str, port['shape']))} {port['dtype']}  {port['name']}")
    console.out.print(
        f"{source.kind.value}: {facts['macs'] / 1e6:,.2f} M MACs, {facts['parameters']:,} parameters, "
        f"arena at 8 bits {facts['arena_bytes']:,} B (lower bound {facts['arena_lower_bound_bytes']:,} B)"
    )
    if source.removed_channels:
        console.out.print(f"{source.removed_channels:,} channels that are constant or that nothing reads are left out")
    for line in latency_lines(latency, board):
        console.out.print(line)


def _print_patches(facts: dict, limit: int) -> None:
    console.out.print()
    console.out.print(stage_table(facts["stages"], limit))
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("RAM", "MACs", "cost", "stages"):
        table.add_column(title, justify="left" if title == "stages" else "right", no_wrap=True)
    front = facts["front"]
    least = front[-1]
    for plan in (*front[: -1 : max(1, len(front) // _PLANS_SHOWN)], least):
        grids = [stretch["grid"] or "whole" for stretch in plan["stretches"]]
        shown = ", ".join(grids[:_GRIDS_SHOWN]) + (" ..." if len(grids) > _GRIDS_SHOWN else "")
        table.add_row(
            f"{plan['ram_bytes']:,}", f"{plan['macs'] / 1e6:,.2f} M", f"{plan['cost'] / least['cost']:.2f}", shown
        )
    console.out.print(
        f"\nbetween least RAM and least cost, the input {'pulled' if front[0]['input'] == 'rows' else 'resident'}:"
    )
    console.out.print(table)


def _print_support(json: bool) -> None:
    ops = tflite.supported_ops()
    if json:
        console.print_json({"ops": [vars(op) | {"constraints": list(op.constraints)} for op in ops]})
        return
    for op in ops:
        note = "  (only where it folds away before code is generated)" if op.folds_away else ""
        console.out.print(f"[bold]{op.name}[/bold]{note}")
        for sentence in op.constraints:
            console.out.print(f"    {sentence}", soft_wrap=True)
