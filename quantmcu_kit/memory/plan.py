"""Integer graph and schedule -> MemoryPlan."""

from __future__ import annotations

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import ARENA_ALIGNMENT, TILE_ALIGNMENT, MemoryPlan, StageMemory
from quantmcu_kit.ir.schedule import Schedule, Stage
from quantmcu_kit.memory.allocate import aligned, allocate, arena_size, lower_bound, with_aligned_sizes
from quantmcu_kit.memory.liveness import find_lifetimes
from quantmcu_kit.memory.patches import JUNCTIONS, SUMS, kept_of, patched_lifetimes, scratch_of


def plan(graph: Graph, schedule: Schedule | None = None) -> MemoryPlan:
    """The static arena of an integer graph that runs by ``schedule``, else layer by layer."""
    schedule = schedule or Schedule.whole(graph)
    stages = tuple(_patched(graph, stage) if stage.patches else _whole(graph, stage) for stage in schedule.stages)
    return MemoryPlan(
        arena_bytes=aligned(max((stage.bytes for stage in stages), default=0)),
        lower_bound_bytes=aligned(max((stage.lower_bound_bytes for stage in stages), default=0)),
        stages=stages,
    )


def _whole(graph: Graph, stage: Stage) -> StageMemory:
    """An offset for every feature map and every scratch block."""
    liveness = find_lifetimes(graph, stage)
    blocks = with_aligned_sizes(liveness.blocks, ARENA_ALIGNMENT)
    offsets = allocate(blocks)
    return StageMemory(
        bytes=arena_size(blocks, offsets),
        lower_bound_bytes=lower_bound(blocks),
        offsets={name: offsets[index] for name, index in liveness.maps.items()},
        scratch={name: offsets[index] for name, index in liveness.scratch.items()},
        kept={},
        sums=None,
        lifetimes=liveness.blocks,
    )


def _patched(graph: Graph, stage: Stage) -> StageMemory:
    """An offset for every tile, for kept rows, scratch and sums; the output lies below the input in their block."""
    patches = stage.patches
    lifetimes = patched_lifetimes(graph, stage)
    blocks = with_aligned_sizes(lifetimes, TILE_ALIGNMENT)
    offsets = allocate(blocks)
    placed = {block.name: offset for block, offset in zip(blocks, offsets, strict=True)}
    maps = {entry.tensor: placed[entry.tensor] for entry in patches.maps if entry.tensor in placed}
    maps[patches.output] = placed[JUNCTIONS]
    if not patches.pulls_input:
        end = placed[JUNCTIONS] + patches.junction_bytes
        maps[patches.input] = end - graph.tensors[patches.input].bytes
    nodes = graph.nodes[stage.start : stage.end]
    names = [node.name for node in nodes if scratch_of(node.name) in placed]
    return StageMemory(
        bytes=arena_size(blocks, offsets),
        lower_bound_bytes=lower_bound(blocks),
        offsets=maps,
        scratch={name: placed[scratch_of(name)] for name in names},
        kept={entry.tensor: placed[kept_of(entry.tensor)] for entry in patches.maps if entry.kept_rows},
        sums=placed.get(SUMS),
        lifetimes=lifetimes,
    )
