"""A network as a chain of blocks, each a function of one feature map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.types import Activation
from quantmcu_kit.ops.table import TABLE

_MOST_LAYERS = 3  # weighted layers of a block that could be cut further: those of an inverted residual


@dataclass(frozen=True)
class Block:
    """Consecutive nodes that read nothing but ``source`` and their own maps, and of whose maps only ``output`` is read
    later.

    Attributes:
        macs: multiply-accumulates per picture.
        values: elements of all maps that are written, per picture.
        has_other_ends: maps beside ``output`` leave the network; what is good for the one may be bad for them.
    """

    nodes: tuple[Node, ...]
    source: str
    output: str
    macs: int
    values: int
    has_other_ends: bool


def split(graph: Graph) -> list[Block]:
    """The network in blocks: cut wherever a single map is alive, but not within an inverted residual.

    After a linear map (a projection, a residual sum) there is always a cut; after others, where a block would have more
    than three weighted layers.
    """
    pieces: list[list[Node]] = [[]]
    for index, node in enumerate(graph.nodes):
        pieces[-1].append(node)
        if _alive(graph, index) == {node.output}:
            pieces.append([])
    merged: list[list[Node]] = []
    for piece in filter(None, pieces):
        can_grow = bool(merged) and not _is_linear(merged[-1][-1])
        if can_grow and _layers(merged[-1] + piece) <= _MOST_LAYERS:
            merged[-1] = merged[-1] + piece
        else:
            merged.append(piece)
    source = graph.inputs[0].tensor
    blocks = []
    for nodes in merged:
        blocks.append(_block(graph, nodes, source))
        source = nodes[-1].output
    return blocks


def whole(graph: Graph) -> Block:
    """The network as one block, up to its first output, or to the logits of it."""
    output = graph.outputs[0].tensor
    last = graph.producer(output)
    if last is not None and last.op == "SOFTMAX":
        output = last.inputs[0]
    end = next(index for index, node in enumerate(graph.nodes) if node.output == output) + 1
    return _block(graph, graph.nodes[:end], graph.inputs[0].tensor)


def _block(graph: Graph, nodes: Sequence[Node], source: str) -> Block:
    macs = sum(_macs(graph, node) for node in nodes)
    values = sum(graph.tensors[node.output].elements for node in nodes)
    output = nodes[-1].output
    has_other_ends = any(graph.is_output(node.output) and node.output != output for node in nodes)
    return Block(tuple(nodes), source, output, macs, values, has_other_ends)


def _alive(graph: Graph, index: int) -> set[str]:
    """Maps that exist after a node has run and are read later; of the last node, its output."""
    later = {name for node in graph.nodes[index + 1 :] for name in graph.activation_inputs(node)}
    here = {port.tensor for port in graph.inputs} | {node.output for node in graph.nodes[: index + 1]}
    return later & here


def _layers(nodes: list[Node]) -> int:
    return sum(TABLE[node.op].weight_axis is not None for node in nodes)


def _is_linear(node: Node) -> bool:
    is_sum = node.op in ("ADD", "SUB") or TABLE[node.op].weight_axis is not None
    return is_sum and node.attrs.activation is Activation.NONE


def _macs(graph: Graph, node: Node) -> int:
    return TABLE[node.op].cost(node.attrs, graph.input_tensors(node), graph.tensors[node.output]).macs
