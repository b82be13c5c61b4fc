"""A stage that runs patch by patch -> arena blocks with lifetimes: ends, tiles, kept rows, scratch and sums."""

from __future__ import annotations

from collections.abc import Iterator

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import Lifetime
from quantmcu_kit.ir.schedule import Patches, Stage
from quantmcu_kit.ops.interpret import scratch_bytes, sum_bytes

JUNCTIONS = "the stage's input and output"
SUMS = "sums"


def scratch_of(name: str) -> str:
    """Name of a node's scratch block."""
    return f"scratch of {name}"


def kept_of(tensor: str) -> str:
    """Name of the block of a map's kept rows."""
    return f"kept rows of {tensor}"


def patched_lifetimes(graph: Graph, stage: Stage) -> tuple[Lifetime, ...]:
    """The blocks of a stage. Step i is the execution of node i in all patches."""
    return tuple(_blocks(graph, stage, stage.patches))


def _blocks(graph: Graph, stage: Stage, patches: Patches) -> Iterator[Lifetime]:
    first, last = stage.start, stage.end - 1
    yield Lifetime(JUNCTIONS, patches.junction_bytes, first, last)
    resident = {patches.output} | (set() if patches.pulls_input else {patches.input})
    for entry in patches.maps:
        if entry.tensor in resident:
            continue
        tensor = graph.tensors[entry.tensor]
        tile = entry.held.h * entry.held.w * tensor.pixel_bytes
        life = (first, last) if entry.stays else (entry.first_node, entry.last_node)
        yield Lifetime(entry.tensor, tile, *life)
        if entry.kept_rows:
            row_bytes = tensor.shape[2] * tensor.pixel_bytes
            yield Lifetime(kept_of(entry.tensor), entry.kept_rows * row_bytes, first, last)
    if patches.accumulates:
        yield Lifetime(SUMS, sum_bytes(graph, graph.nodes[last]), first, last)
    tiled = {entry.tensor for entry in patches.maps}
    for step in range(stage.start, stage.end):
        node = graph.nodes[step]
        size = scratch_bytes(graph, node) if node.output in tiled else 0
        if size:
            yield Lifetime(scratch_of(node.name), size, step, step)
