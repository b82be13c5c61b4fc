"""Which blocks leave the arena for external RAM: those whose bytes are used least often, as few as will do.

External RAM of a microcontroller sits behind a serial bus and a small cache: each access costs several times what
internal RAM costs. So a block's worth in the arena is the number of accesses to one of its bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import Lifetime
from quantmcu_kit.memory.allocate import allocate, arena_size
from quantmcu_kit.ops.table import TABLE

_CHANNELS_TOGETHER = 4  # output channels that kernels compute for one load of an input


def spill(graph: Graph, blocks: Sequence[Lifetime], maps: Mapping[str, int], limit: int) -> frozenset[int]:
    """Indices of map blocks that go to external RAM so that the others fit ``limit`` bytes, or all of them.

    Args:
        maps: index into ``blocks`` per feature map.
    """
    accesses = _accesses(graph, maps)
    by_worth = sorted(accesses, key=lambda index: (accesses[index] / blocks[index].size, -blocks[index].size))
    spilled: set[int] = set()
    for index in by_worth:
        inside = [block for position, block in enumerate(blocks) if position not in spilled]
        if arena_size(inside, allocate(inside)) <= limit:
            break
        spilled.add(index)
    return frozenset(spilled)


def _accesses(graph: Graph, maps: Mapping[str, int]) -> dict[int, float]:
    """Bytes written and read over a run, per block of maps."""
    accesses = {index: 0.0 for index in maps.values()}
    for name, index in maps.items():
        accesses[index] += graph.tensors[name].elements
        for node in graph.consumers(name):
            cost = TABLE[node.op].cost(node.attrs, graph.input_tensors(node), graph.tensors[node.output])
            accesses[index] += max(cost.macs / _CHANNELS_TOGETHER, graph.tensors[name].elements)
    return accesses
