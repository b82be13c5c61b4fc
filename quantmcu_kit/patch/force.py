"""Plans that the user forces: one grid at the network's beginning, or stretches from a file."""

from __future__ import annotations

from collections.abc import Collection

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.schedule import Grid, HaloMode
from quantmcu_kit.ops.halo import map_size
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.patch.plan import Plan, Stretch, stretch_of, whole
from quantmcu_kit.patch.plan_file import Entry, PlanFile
from quantmcu_kit.patch.segment import is_tileable, segment
from quantmcu_kit.patch.ways import Problem, patched_ways


def forced_by_grid(problem: Problem, grid: Grid, modes: Collection[HaloMode], is_pulled: bool) -> tuple[Plan, ...]:
    """One patched stretch from the network's input to any cut point, the rest layer by layer.

    Raises:
        QmkitError: ``bad-patches`` where there is no such stretch.
    """
    last = len(problem.graph.nodes)
    plans = []
    for end in range(1, last + 1):
        for ways in patched_ways(problem, end, is_pulled=is_pulled, modes=modes, grids=[grid], starts=[0]):
            for index in range(len(ways.grids)):
                rest = (whole(problem, end, last),) if end < last else ()
                plans.append(Plan((stretch_of(ways, index), *rest), is_pulled))
    if not plans:
        raise _impossible(problem, grid)
    return tuple(plans)


def forced_by_file(problem: Problem, wanted: PlanFile, is_pulled: bool) -> Plan | None:
    """The file's stretches, the rest layer by layer; None where the input is to be pulled and the beginning is whole.

    Raises:
        QmkitError: ``bad-plan`` names the entry that cannot be.
    """
    stretches: list[Stretch] = []
    done = 0
    for index, entry in enumerate(wanted.entries):
        stretch = _stretch(problem, entry, f"{wanted.where}, stretches[{index}]", is_pulled)
        if entry.start > done:
            stretches.append(whole(problem, done, entry.start))
        stretches.append(stretch)
        done = entry.end
    if done < len(problem.graph.nodes):
        stretches.append(whole(problem, done, len(problem.graph.nodes)))
    begins_patched = bool(stretches) and stretches[0].grid is not None
    return Plan(tuple(stretches), is_pulled) if begins_patched or not is_pulled else None


def _stretch(problem: Problem, entry: Entry, where: str, is_pulled: bool) -> Stretch:
    graph, cuts = problem.graph, problem.cuts
    count = len(graph.nodes)
    if entry.end > count:
        raise _bad_entry(f"the network has no node {entry.end - 1}", where, f"its nodes are 0..{count - 1}")
    for index in (entry.start, entry.end):
        if cuts[index] is None:
            near = [each for each, name in enumerate(cuts) if name is not None]
            below = max((each for each in near if each < index), default=None)
            above = min((each for each in near if each > index), default=None)
            places = " and ".join(str(each) for each in (below, above) if each is not None)
            raise _bad_entry(
                f"a stretch cannot begin or end at node {index}",
                where,
                f"several maps are alive there; the nearest places where one is alone: {places or 'none'}",
            )
    piece = segment(graph, entry.start, entry.end)
    if piece is None:
        stop = next(index for index in range(entry.start, entry.end) if not is_tileable(graph, graph.nodes[index]))
        raise _bad_entry(f"nodes {entry.start}..{entry.end} cannot run in patches", where, _why_not(problem, stop))
    size = map_size(graph.tensors[piece.cut_map(graph)])
    if entry.grid.rows > size.h or entry.grid.columns > size.w:
        why = f"the map {piece.cut_map(graph)} has {size.h}x{size.w} pixels, which is the largest grid"
        raise _bad_entry(f"the grid {entry.grid} is finer than the map that it cuts", where, why)
    (ways,) = patched_ways(
        problem, entry.end, is_pulled=is_pulled, modes=[entry.halo], grids=[entry.grid], starts=[entry.start]
    )
    return stretch_of(ways, 0)


def _bad_entry(message: str, where: str, why: str) -> QmkitError:
    return QmkitError("bad-plan", message, where=where, why=why, hint="`qmkit inspect MODEL` lists the nodes")


def _impossible(problem: Problem, grid: Grid) -> QmkitError:
    """Why no stretch at the beginning can have this grid."""
    graph = problem.graph
    pieces = [piece for end in range(1, len(graph.nodes) + 1) if (piece := segment(graph, 0, end))]
    if pieces:
        sizes = [map_size(graph.tensors[piece.cut_map(graph)]) for piece in pieces]
        rows, columns = max((size.h, size.w) for size in sizes)
        why = f"a grid cuts a map; the largest at the network's beginning has {rows}x{columns} pixels"
        hint = f"--patches {min(grid.rows, rows)}x{min(grid.columns, columns)}"
    else:
        why, hint = _why_nothing(problem), "--patches auto"
    return QmkitError("bad-patches", f"the network cannot begin in {grid} patches", why=why, hint=hint)


def _why_nothing(problem: Problem) -> str:
    """What keeps the network from beginning in patches at all."""
    graph = problem.graph
    if problem.cuts[0] is None:
        return "it has several inputs, or its input is also its output: patches begin with one map"
    stop = next((i for i, node in enumerate(graph.nodes) if not is_tileable(graph, node)), len(graph.nodes))
    if stop == len(graph.nodes):
        return "it ends in several maps, and patches end with one"
    why = _why_not(problem, stop)
    return why if stop == 0 else f"{why}, and before it several maps are alive everywhere"


def _why_not(problem: Problem, index: int) -> str:
    """Why a node cannot compute a part of its output."""
    node = problem.graph.nodes[index]
    if TABLE[node.op].halo is None:
        reason = f"{node.op} needs all of its input for any part of its output"
    else:
        shapes = [problem.graph.tensors[name].shape for name in (*problem.graph.activation_inputs(node), node.output)]
        shape = next(shape for shape in shapes if len(shape) != 4)
        reason = f"it works on {list(shape)}, not on a map [1, h, w, channels]"
    return f"node {index} {node.name} ({node.op}) stops it: {reason}"
