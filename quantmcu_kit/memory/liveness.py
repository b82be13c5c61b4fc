"""A stage that runs layer by layer -> arena blocks with lifetimes. Views share a block; so do results in place."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.plans import Lifetime
from quantmcu_kit.ir.schedule import Schedule, Stage
from quantmcu_kit.memory.join import Home, find_homes
from quantmcu_kit.ops.interpret import is_alias, scratch_bytes
from quantmcu_kit.ops.table import TABLE


@dataclass(frozen=True)
class Liveness:
    """Blocks of a stage.

    Attributes:
        blocks: feature-map blocks in order of their first step, then scratch blocks.
        maps: index into ``blocks`` per feature map.
        homes: where maps lie within the block of a joined map.
        scratch: index into ``blocks`` per name of a node that needs scratch.
    """

    blocks: tuple[Lifetime, ...]
    maps: Mapping[str, int]
    homes: Mapping[str, Home]
    scratch: Mapping[str, int]


def find_lifetimes(graph: Graph, stage: Stage | None = None, *, join: bool = False) -> Liveness:
    """Blocks of an integer graph, or of one of its stages. Step i is the execution of node i.

    What enters is alive from the first step to its last reader and may be overwritten by it; what leaves stays alive to
    the end. A map that nothing reads still needs its bytes while it is written.

    Args:
        join: write maps where concatenations want them, where that is possible.
    """
    stage = stage or Schedule.whole(graph).stages[0]
    builder = _Builder(graph, stage, join)
    for name in builder.entering:
        builder.new_block(name, stage.start)
    for step in range(stage.start, stage.end):
        node = graph.nodes[step]
        shared = builder.shared_block(node, step)
        if shared is None:
            builder.new_block(builder.whole_of(node.output), step)
            builder.join(node.output, builder.block_of[builder.whole_of(node.output)], step)
        else:
            builder.join(node.output, shared, step)
    blocks = builder.blocks
    scratch: dict[str, int] = {}
    for step in range(stage.start, stage.end):
        node = graph.nodes[step]
        size = scratch_bytes(graph, node)
        if size:
            scratch[node.name] = len(blocks)
            blocks.append(Lifetime(f"scratch of {node.name}", size, step, step))
    return Liveness(tuple(blocks), builder.block_of, builder.homes, scratch)


class _Builder:
    """Blocks under construction.

    Attributes:
        entering: maps that are there when the stage begins.
    """

    def __init__(self, graph: Graph, stage: Stage, join: bool) -> None:
        self.graph = graph
        self.blocks: list[Lifetime] = []
        self.block_of: dict[str, int] = {}
        nodes = graph.nodes[stage.start : stage.end]
        written = {node.output for node in nodes}
        read = [name for node in nodes for name in graph.activation_inputs(node)]
        ports = [port.tensor for port in graph.inputs] if stage.start == 0 else []
        self.entering = tuple(dict.fromkeys([*ports, *(name for name in read if name not in written)]))
        later = {name for node in graph.nodes[stage.end :] for name in graph.activation_inputs(node)}
        self._leaving = {name for name in (*self.entering, *written) if name in later or graph.is_output(name)}
        self.homes = find_homes(graph, stage, frozenset((*self.entering, *self._leaving))) if join else {}
        self._last_step = max(stage.start, stage.end - 1)
        self._last_reader = {
            name: step for step, node in enumerate(nodes, stage.start) for name in graph.activation_inputs(node)
        }

    def _last_use(self, tensor: str, step: int) -> int:
        """Last step at which ``tensor``, written at ``step``, must still hold its value."""
        return self._last_step if tensor in self._leaving else self._last_reader.get(tensor, step)

    def new_block(self, tensor: str, step: int) -> None:
        self.block_of[tensor] = len(self.blocks)
        size = self.graph.tensors[tensor].bytes
        self.blocks.append(Lifetime(tensor, size, step, self._last_use(tensor, step)))

    def join(self, tensor: str, index: int, step: int) -> None:
        block = self.blocks[index]
        self.block_of[tensor] = index
        self.blocks[index] = dataclasses.replace(block, last=max(block.last, self._last_use(tensor, step)))

    def whole_of(self, tensor: str) -> str:
        """The joined map that a map is part of, else the map itself."""
        return self.homes[tensor].whole if tensor in self.homes else tensor

    def shared_block(self, node: Node, step: int) -> int | None:
        """The block that the node's output takes over, None where it needs one of its own."""
        if self.whole_of(node.output) in self.block_of:
            return self.block_of[self.whole_of(node.output)]
        if node.output in self.homes:
            return None
        sources = self.graph.activation_inputs(node)
        if is_alias(self.graph, node):
            return self.block_of[sources[0]]
        if not TABLE[node.op].in_place:
            return None
        # A view's readers count as readers of its block, so last == step means that nobody needs these bytes again.
        size = self.graph.tensors[node.output].bytes
        alike = (name for name in sources if self.graph.tensors[name].bytes == size and name not in self.homes)
        dying = (self.block_of[name] for name in alike)
        return next((index for index in dying if self.blocks[index].last == step and not self._leaves(index)), None)

    def _leaves(self, index: int) -> bool:
        """Whether a map of the block leaves the stage."""
        return any(self.block_of.get(name) == index for name in self._leaving)
