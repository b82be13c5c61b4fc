"""A stage that runs patch by patch -> arena blocks with lifetimes: ends, tiles, kept rows, scratch and sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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


def patched_lifetimes(graphs: Sequence[Graph], stage: Stage) -> tuple[Lifetime, ...]:
    """The blocks of a stage. Step i is the execution of node i in all patches.

    Args:
        graphs: the network as patches of each branch class compute it, the common one first: a tile, and
            scratch, is as large as the class wants it that needs most, for all of them may be of that class. Kept rows
            are of the common one.
    """
    return tuple(_blocks(graphs, stage, stage.patches))


def _blocks(graphs: Sequence[Graph], stage: Stage, patches: Patches) -> Iterator[Lifetime]:
    common = graphs[0]
    first, last = stage.start, stage.end - 1
    yield Lifetime(JUNCTIONS, patches.junction_bytes, first, last)
    resident = {patches.output} | (set() if patches.pulls_input else {patches.input})
    for entry in patches.maps:
        if entry.tensor in resident:
            continue
        pixel_bytes = max(graph.tensors[entry.tensor].pixel_bytes for graph in graphs)
        tile = entry.held.h * entry.held.w * pixel_bytes
        life = (first, last) if entry.stays else (entry.first_node, entry.last_node)
        yield Lifetime(entry.tensor, tile, *life)
        if entry.kept_rows:
            tensor = common.tensors[entry.tensor]  # the type of kept rows, whoever keeps them
            row_bytes = tensor.shape[2] * tensor.pixel_bytes
            yield Lifetime(kept_of(entry.tensor), entry.kept_rows * row_bytes, first, last)
    if patches.accumulates:
        yield Lifetime(SUMS, sum_bytes(common, common.nodes[last]), first, last)
    tiled = {entry.tensor for entry in patches.maps}
    for step in range(stage.start, stage.end):
        node = common.nodes[step]
        size = max(scratch_bytes(graph, node) for graph in graphs) if node.output in tiled else 0
        if size:
            yield Lifetime(scratch_of(node.name), size, step, step)
