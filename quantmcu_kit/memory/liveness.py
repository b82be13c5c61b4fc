"""Integer graph -> arena blocks with lifetimes. Views share a block; so do results computed in place."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.plans import Lifetime
from quantmcu_kit.ops.interpret import prepare_node
from quantmcu_kit.ops.table import TABLE


@dataclass(frozen=True)
class Liveness:
    """Blocks of a graph's arena.

    Attributes:
        blocks: feature-map blocks in order of their first step, then scratch blocks.
        maps: index into ``blocks`` per feature map.
        scratch: index into ``blocks`` per name of a node that needs scratch.
    """

    blocks: tuple[Lifetime, ...]
    maps: Mapping[str, int]
    scratch: Mapping[str, int]


def scratch_bytes(graph: Graph, node: Node) -> int:
    """Bytes of scratch that the kernels of ``node`` need while it runs."""
    calls = TABLE[node.op].emit(prepare_node(graph, node))
    return max((call.scratch_bytes or 0 for call in calls), default=0)


def find_lifetimes(graph: Graph) -> Liveness:
    """Blocks of an integer graph. Step i is the execution of node i.

    A network input is alive from step 0 to its last reader and may be overwritten by it; an output stays alive to
    the end. A map that nothing reads still needs its bytes while it is written.
    """
    builder = _Builder(graph)
    for port in graph.inputs:
        if port.tensor not in builder.block_of:
            builder.new_block(port.tensor, step=0)
    for step, node in enumerate(graph.nodes):
        shared = builder.shared_block(node, step)
        if shared is None:
            builder.new_block(node.output, step)
        else:
            builder.join(node.output, shared, step)
    blocks = builder.blocks
    scratch: dict[str, int] = {}
    for step, node in enumerate(graph.nodes):
        size = scratch_bytes(graph, node)
        if size:
            scratch[node.name] = len(blocks)
            blocks.append(Lifetime(f"scratch of {node.name}", size, step, step))
    return Liveness(tuple(blocks), builder.block_of, scratch)


class _Builder:
    """Blocks under construction."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.blocks: list[Lifetime] = []
        self.block_of: dict[str, int] = {}
        self._last_step = max(0, len(graph.nodes) - 1)
        self._last_reader = {
            name: step for step, node in enumerate(graph.nodes) for name in graph.activation_inputs(node)
        }

    def _last_use(self, tensor: str, step: int) -> int:
        """Last step at which ``tensor``, written at ``step``, must still hold its value."""
        return self._last_step if self.graph.is_output(tensor) else self._last_reader.get(tensor, step)

    def new_block(self, tensor: str, step: int) -> None:
        self.block_of[tensor] = len(self.blocks)
        size = self.graph.tensors[tensor].bytes
        self.blocks.append(Lifetime(tensor, size, step, self._last_use(tensor, step)))

    def join(self, tensor: str, index: int, step: int) -> None:
        block = self.blocks[index]
        self.block_of[tensor] = index
        self.blocks[index] = dataclasses.replace(block, last=max(block.last, self._last_use(tensor, step)))

    def shared_block(self, node: Node, step: int) -> int | None:
        """The block that the node's output takes over, None where it needs one of its own."""
        spec = TABLE[node.op]
        sources = self.graph.activation_inputs(node)
        if spec.is_view:
            return self.block_of[sources[0]]
        if not spec.in_place:
            return None
        # A view's readers count as readers of its block, so last == step means that nobody needs these bytes again.
        size = self.graph.tensors[node.output].bytes
        dying = (self.block_of[name] for name in sources if self.graph.tensors[name].bytes == size)
        return next((index for index in dying if self.blocks[index].last == step and not self._leaves(index)), None)

    def _leaves(self, index: int) -> bool:
        """Whether a map of the block is an output of the network."""
        return any(self.block_of.get(port.tensor) == index for port in self.graph.outputs)
