"""RAM of nodes that run layer by layer: the bytes of the arena that are alive at each of them.

The arena's rules: views share their source's bytes, elementwise results take a dying operand's place.
"""

from __future__ import annotations

from collections.abc import Mapping

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import ARENA_ALIGNMENT
from quantmcu_kit.ops.interpret import is_alias, scratch_bytes
from quantmcu_kit.ops.table import TABLE


def scratch_of_nodes(graph: Graph) -> dict[str, int]:
    """Bytes of scratch by name of the node, of an integer graph."""
    return {node.name: scratch_bytes(graph, node) for node in graph.nodes}


def whole_bytes(graph: Graph, scratch: Mapping[str, int]) -> tuple[int, ...]:
    """Bytes alive while each node runs. Between two cut points they are those of the stretch alone, too."""
    last_step = max(len(graph.nodes) - 1, 0)
    last_use = {name: step for step, node in enumerate(graph.nodes) for name in graph.activation_inputs(node)}
    last_use |= {port.tensor: last_step for port in graph.outputs}
    block_of: dict[str, int] = {}
    sizes, firsts, lasts = [], [], []

    def write(name: str, step: int, block: int | None) -> None:
        if block is None:
            block = len(sizes)
            sizes.append(_aligned(graph.tensors[name].bytes))
            firsts.append(step)
            lasts.append(step)
        block_of[name] = block
        lasts[block] = max(lasts[block], last_use.get(name, step))

    for port in graph.inputs:
        write(port.tensor, 0, None)
    for step, node in enumerate(graph.nodes):
        sources = graph.activation_inputs(node)
        shared = None
        if is_alias(graph, node):
            shared = block_of[sources[0]]
        elif TABLE[node.op].in_place:
            leaving = {block_of.get(port.tensor) for port in graph.outputs}
            alike = [name for name in sources if graph.tensors[name].bytes == graph.tensors[node.output].bytes]
            dying = (block_of[name] for name in alike)
            shared = next((block for block in dying if lasts[block] == step and block not in leaving), None)
        write(node.output, step, shared)
    return tuple(
        _aligned(scratch.get(node.name, 0))
        + sum(size for size, first, last in zip(sizes, firsts, lasts, strict=True) if first <= step <= last)
        for step, node in enumerate(graph.nodes)
    )


def _aligned(size: int) -> int:
    return -(-size // ARENA_ALIGNMENT) * ARENA_ALIGNMENT
