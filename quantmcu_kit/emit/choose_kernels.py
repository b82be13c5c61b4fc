"""Which kernel runs each layer on a core: of those that can, the one with the fewest modelled cycles."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from quantmcu_kit.emit.latency import has_cycles, knows_works, node_work, works_cycles
from quantmcu_kit.ir.branches import Branches
from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.schedule import Schedule, Stage
from quantmcu_kit.ops.interpret import kernel_calls, prepare_node
from quantmcu_kit.ops.variants import VARIANTS

_PORTABLE = ""


def choose_kernels(graph: Graph, core: str, schedule: Schedule | None = None) -> Graph:
    """An integer graph whose nodes name their kernels.

    They are the portable ones for a core without a cycle model, and for one of which the table knows no variants: it
    lacks the instructions that these are written for. So they are where pixels of patches are added up.

    Args:
        schedule: by default layer by layer.
    """
    return _with_kernels(graph, _choices((graph,), core, schedule or Schedule.whole(graph)))


def choose_branch_kernels(branches: Branches, core: str, schedule: Schedule) -> Branches:
    """Branch classes whose graphs name their kernels: each node runs by the same one in all classes."""
    choices = _choices(tuple(branches.graphs.values()), core, schedule)
    graphs = {name: _with_kernels(graph, choices) for name, graph in branches.graphs.items()}
    return dataclasses.replace(branches, graphs=graphs)


def fewest_cycles(graph: Graph, index: int, cpu: str, core: str) -> float:
    """Cycles of a node, layer by layer, on a core of the table, by the kernel that it would be given on a processor."""
    (stage,) = Schedule.whole(graph).stages
    return _cycles((graph,), stage, index, _choice((graph,), stage, index, cpu), core)


def _with_kernels(graph: Graph, choices: Sequence[str]) -> Graph:
    if all(node.kernel == kernel for node, kernel in zip(graph.nodes, choices, strict=True)):
        return graph
    return graph.replace(nodes=map(_with_kernel, graph.nodes, choices))


def _with_kernel(node: Node, kernel: str) -> Node:
    return dataclasses.replace(node, kernel=kernel)


def _choices(graphs: Sequence[Graph], core: str, schedule: Schedule) -> tuple[str, ...]:
    """The kernel of each node, by position."""
    steps = ((stage, index) for stage in schedule.stages for index in range(stage.start, stage.end))
    return tuple(_choice(graphs, stage, index, core) for stage, index in steps)


def _choice(graphs: Sequence[Graph], stage: Stage, index: int, core: str) -> str:
    """The kernel of one node: with fewest cycles in all graphs together."""
    able = tuple(_able(graphs, stage, index)) if has_cycles(core) else ()
    if not able:
        return _PORTABLE
    cycles = {name: _cycles(graphs, stage, index, name, core) for name in (_PORTABLE, *able)}
    known = {name: count for name, count in cycles.items() if count is not None}
    return min(known, key=known.__getitem__)


def _able(graphs: Sequence[Graph], stage: Stage, index: int) -> Iterator[str]:
    """The variants that run a node in all graphs."""
    nodes = [graph.nodes[index] for graph in graphs]
    if stage.patches and nodes[0].output not in stage.patches.by_tensor:
        return
    for variant in VARIANTS.values():
        pairs = zip(graphs, nodes, strict=True)
        if nodes[0].op in variant.ops and all(variant.supports(prepare_node(graph, node)) for graph, node in pairs):
            yield variant.name


def _cycles(graphs: Sequence[Graph], stage: Stage, index: int, kernel: str, core: str) -> float | None:
    """Cycles of one node; None where the table does not know what a variant does there on the core."""
    total = 0.0
    for graph in graphs:
        calls = kernel_calls(graph, _with_kernel(graph.nodes[index], kernel))
        works = node_work(graph, stage, index, calls)
        if kernel != _PORTABLE and not knows_works(works, core):
            return None
        total += works_cycles(works, core)
    return total
