"""Which blocks leave the arena for external RAM: those whose bytes are used least often, as few as will do.

External RAM of a microcontroller sits behind a serial bus and a small cache: each access costs several times what
internal RAM costs. So a block's worth in the arena is the number of accesses to one of its bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import Lifetime
from quantmcu_kit.memory.allocate import allocate, arena_size, lower_bound
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
        if _fits(blocks, spilled, limit):
            break
        spilled.add(index)
    for index in reversed(by_worth):  # the most used first: what need not have left comes back
        if index in spilled and _fits(blocks, spilled - {index}, limit):
            spilled.remove(index)
    return frozenset(spilled)


def _fits(blocks: Sequence[Lifetime], spilled: Set[int], limit: int) -> bool:
    """Whether what is left fits; placing blocks takes time, their bound does not."""
    inside = [block for index, block in enumerate(blocks) if index not in spilled]
    return lower_bound(inside) <= limit and arena_size(inside, allocate(inside)) <= limit


def _accesses(graph: Graph, maps: Mapping[str, int]) -> dict[int, float]:
    """Bytes written and read over a run, per block of maps."""
    accesses = {index: 0.0 for index in maps.values()}
    for name, index in maps.items():
        tensor = graph.tensors[name]
        values_per_byte = tensor.elements / tensor.bytes
        accesses[index] += tensor.bytes
        for node in graph.consumers(name):
            cost = TABLE[node.op].cost(node.attrs, graph.input_tensors(node), graph.tensors[node.output])
            accesses[index] += max(cost.macs / _CHANNELS_TOGETHER / values_per_byte, tensor.bytes)
    return accesses
