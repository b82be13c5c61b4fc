"""Integer graph and schedule -> MemoryPlan."""

from __future__ import annotations

from collections.abc import Sequence

from quantmcu_kit.ir.branches import Branches
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import ARENA_ALIGNMENT, TILE_ALIGNMENT, MemoryPlan, StageMemory
from quantmcu_kit.ir.schedule import Schedule, Stage
from quantmcu_kit.memory.allocate import aligned, allocate, arena_size, lower_bound, with_aligned_sizes
from quantmcu_kit.memory.liveness import Liveness, find_lifetimes
from quantmcu_kit.memory.patches import JUNCTIONS, SUMS, kept_of, patched_lifetimes, scratch_of
from quantmcu_kit.memory.spill import spill


def plan(
    graph: Graph,
    schedule: Schedule | None = None,
    branches: Branches | None = None,
    *,
    internal_bytes: int | None = None,
) -> MemoryPlan:
    """The static arena of an integer graph that runs by ``schedule``, else layer by layer.

    Args:
        branches: classes of the patches of one stage, of which ``graph`` is the common one: the arena holds the worst
            case, all patches of the class that needs most.
        internal_bytes: where the board has external RAM too: the arena's limit, beyond which maps of stages that run
            layer by layer go there.
    """
    schedule = schedule or Schedule.whole(graph)
    classed = schedule.stages[branches.stage] if branches else None

    def place(stage: Stage) -> StageMemory:
        if stage.patches is None:
            return _whole(graph, stage, internal_bytes)
        return _patched([branches.graphs[name] for name in branches.names] if stage is classed else [graph], stage)

    stages = tuple(map(place, schedule.stages))
    return MemoryPlan(
        arena_bytes=aligned(max((stage.bytes for stage in stages), default=0)),
        lower_bound_bytes=aligned(max((stage.lower_bound_bytes for stage in stages), default=0)),
        stages=stages,
        pulls_input=schedule.pulls_input,
        external_bytes=max((stage.external_bytes for stage in stages), default=0),
    )


def bytes_alive(graph: Graph) -> tuple[int, ...]:
    """Of each node of an integer graph that runs layer by layer, the bytes of the arena that are in use meanwhile."""
    (stage,) = plan(graph).stages
    blocks = with_aligned_sizes(stage.lifetimes, ARENA_ALIGNMENT)
    return tuple(
        sum(block.size for block in blocks if block.first <= step <= block.last) for step in range(len(graph.nodes))
    )


def _whole(graph: Graph, stage: Stage, internal_bytes: int | None) -> StageMemory:
    """The smaller of two placements, with concatenated maps written in place or copied; in place if they are equal."""
    plans = [_placed(graph, find_lifetimes(graph, stage, join=join), internal_bytes) for join in (True, False)]
    return min(plans, key=lambda placed: (placed.bytes, placed.external_bytes))


def _placed(graph: Graph, liveness: Liveness, internal_bytes: int | None) -> StageMemory:
    """An offset for every feature map and every scratch block."""
    homes = liveness.homes
    blocks = with_aligned_sizes(liveness.blocks, ARENA_ALIGNMENT)
    spilled = frozenset() if internal_bytes is None else spill(graph, blocks, liveness.maps, internal_bytes)
    inside = [index for index in range(len(blocks)) if index not in spilled]
    offsets: dict[int, int] = {}
    sizes = []
    for indices in (inside, sorted(spilled)):
        chosen = [blocks[index] for index in indices]
        places = allocate(chosen)
        offsets |= dict(zip(indices, places, strict=True))
        sizes.append(arena_size(chosen, places))
    return StageMemory(
        bytes=sizes[0],
        lower_bound_bytes=lower_bound([blocks[index] for index in inside]),
        offsets={
            name: offsets[index] + (homes[name].offset if name in homes else 0) for name, index in liveness.maps.items()
        },
        scratch={name: offsets[index] for name, index in liveness.scratch.items()},
        kept={},
        sums=None,
        lifetimes=liveness.blocks,
        joined={name: home.whole for name, home in homes.items()},
        pixel_bytes={name: home.pixel_bytes for name, home in homes.items() if home.pixel_bytes is not None},
        external=frozenset(name for name, index in liveness.maps.items() if index in spilled),
        external_bytes=sizes[1],
    )


def _patched(graphs: Sequence[Graph], stage: Stage) -> StageMemory:
    """An offset for every tile, for kept rows, scratch and sums; the output lies below the input in their block."""
    graph, patches = graphs[0], stage.patches
    lifetimes = patched_lifetimes(graphs, stage)
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
