"""Integer graph -> MemoryPlan."""

from __future__ import annotations

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import MemoryPlan
from quantmcu_kit.memory.allocate import allocate, arena_size, lower_bound
from quantmcu_kit.memory.liveness import find_lifetimes


def plan(graph: Graph) -> MemoryPlan:
    """The static arena of an integer graph: an offset for every feature map and every scratch block."""
    liveness = find_lifetimes(graph)
    offsets = allocate(liveness.blocks)
    return MemoryPlan(
        arena_bytes=arena_size(liveness.blocks, offsets),
        lower_bound_bytes=lower_bound(liveness.blocks),
        offsets={name: offsets[index] for name, index in liveness.maps.items()},
        scratch={name: offsets[index] for name, index in liveness.scratch.items()},
        lifetimes=liveness.blocks,
    )
