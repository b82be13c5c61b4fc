"""Which feature maps are in memory together, and what they share: lower bounds of the arena at any widths."""

from __future__ import annotations

from collections.abc import Callable

from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.schedule import PatchedMap, Stage
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.search.problem import Block, Neighbours, Overlap

ChoiceOf = Callable[[str], int]  # the choice of a map, by index

_SUM_BYTES = 4  # of an int32


def whole_neighbours(graph: Graph, stage: Stage, choice_of: ChoiceOf) -> list[Neighbours]:
    """One entry per node of a stage that runs layer by layer: all maps that are alive while it runs.

    Views share their source's memory, and an operator that works in place that of an input which dies there. Parts of
    a CONCATENATION may lie in the joined map from the start.
    """
    source, first, last = _lives(graph, stage)
    found = []
    for step in range(stage.start, stage.end):
        node = graph.nodes[step]
        alive = [name for name in first if first[name] <= step <= last[name]]
        blocks = tuple(_block(graph, name, choice_of(name)) for name in alive)
        partners = [name for name in _partners(graph, node, source) if last[name] == step and node.output in alive]
        if not _joins(node):
            partners = partners[:1]
        overlaps = tuple(
            Overlap(alive.index(name), alive.index(node.output))
            for name in partners
            # Where widths may differ, more than one part of a joined map could make it grow by going down.
            if not _joins(node) or choice_of(name) == choice_of(node.output)
        )
        found.append(Neighbours(node.name, blocks, overlaps))
    return found


def _joins(node: Node) -> bool:
    return node.op == "CONCATENATION"


def _partners(graph: Graph, node: Node, source: dict[str, str]) -> list[str]:
    """Inputs whose memory the output may take."""
    names = list(dict.fromkeys(source[name] for name in graph.activation_inputs(node)))
    elements = graph.tensors[node.output].elements
    if TABLE[node.op].in_place:
        return [name for name in names if graph.tensors[name].elements == elements]
    return names if _joins(node) else []


def _lives(graph: Graph, stage: Stage) -> tuple[dict[str, str], dict[str, int], dict[str, int]]:
    """The source of each view, and the first and last step of each map that has memory of its own."""
    nodes = graph.nodes[stage.start : stage.end]
    written = {node.output for node in nodes}
    read = [name for node in nodes for name in graph.activation_inputs(node)]
    ports = [port.tensor for port in graph.inputs] if stage.start == 0 else []
    later = {name for node in graph.nodes[stage.end :] for name in graph.activation_inputs(node)}
    source: dict[str, str] = {}
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for name in dict.fromkeys([*ports, *(name for name in read if name not in written)]):
        source[name], first[name], last[name] = name, stage.start, stage.start
    for step, node in enumerate(nodes, stage.start):
        inputs = graph.activation_inputs(node)
        for name in inputs:
            last[source[name]] = step
        source[node.output] = source[inputs[0]] if TABLE[node.op].is_view else node.output
        first.setdefault(source[node.output], step)
        last[source[node.output]] = step
    for name in source:
        if name in later or graph.is_output(name):
            last[source[name]] = stage.end - 1
    return source, first, last


def _block(graph: Graph, name: str, choice: int) -> Block:
    shape = graph.tensors[name].shape
    channels = shape[-1] if shape else 1
    return Block(choice, graph.tensors[name].elements // max(1, channels), channels)


def patched_neighbours(graph: Graph, stage: Stage, choice_of: ChoiceOf) -> list[Neighbours]:
    """One entry per tiled node of a stage that runs patch by patch: its two ends, what is kept, and tiles in use.

    The ends overlap by no more bytes than at 8 bits: narrower rows only make fewer bytes of the input dead, and leave
    fewer of the output to be written. Rows that are kept for other patches count at the width of the patch at hand.
    """
    patches = stage.patches
    inner = [entry for entry in patches.maps if patches.pulls_input or entry.tensor != patches.input]
    inner = [entry for entry in inner if entry.tensor != patches.output]
    ends = ([] if patches.pulls_input else [patches.input]) + [patches.output]
    spared = sum(graph.tensors[name].elements for name in ends) - patches.junction_bytes
    overlaps = (Overlap(0, 1, spared),) if len(ends) == 2 and spared > 0 else ()
    sums = _sum_count(graph, graph.nodes[stage.end - 1]) * _SUM_BYTES if patches.accumulates else 0
    found = []
    for step in range(stage.start, stage.end):
        blocks = [_block(graph, name, choice_of(name)) for name in ends]
        for entry in inner:
            pixels = _kept_pixels(graph, entry)
            if entry.stays or entry.first_node <= step <= entry.last_node:
                pixels += entry.held.h * entry.held.w
            if pixels:
                blocks.append(Block(choice_of(entry.tensor), pixels, graph.tensors[entry.tensor].shape[3]))
        found.append(Neighbours(graph.nodes[step].name, tuple(blocks), overlaps, sums))
    return found


def _sum_count(graph: Graph, node: Node) -> int:
    rule = TABLE[node.op].sums
    return rule(node.attrs, graph.input_tensors(node), graph.tensors[node.output]) if rule else 0


def _kept_pixels(graph: Graph, entry: PatchedMap) -> int:
    return entry.kept_rows * graph.tensors[entry.tensor].shape[2]
