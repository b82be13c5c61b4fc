"""Networks whose nodes run by kernels of ``ops.variants``, drawn at random from those that can."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.ops.interpret import prepare_node
from quantmcu_kit.ops.variants import VARIANTS
from tests.support.patched_program import Case


def variants_of(graphs: Sequence[Graph], schedule: Schedule) -> tuple[tuple[str, ...], ...]:
    """By position of the node, the variants that run it in all graphs; none where patches are added up."""
    able = []
    for stage in schedule.stages:
        for index in range(stage.start, stage.end):
            nodes = [graph.nodes[index] for graph in graphs]
            is_added = stage.patches is not None and nodes[0].output not in stage.patches.by_tensor
            pairs = tuple(zip(graphs, nodes, strict=True))
            able.append(
                tuple(
                    name
                    for name, variant in VARIANTS.items()
                    if not is_added
                    and nodes[0].op in variant.ops
                    and all(variant.supports(prepare_node(graph, node)) for graph, node in pairs)
                )
            )
    return tuple(able)


def with_variants(case: Case, rng: np.random.Generator) -> Case:
    """The case with a variant wherever one can run."""
    graphs = tuple(case.branches.graphs.values()) if case.branches else (case.graph,)
    chosen = [str(rng.choice(names)) if names else "" for names in variants_of(graphs, case.schedule)]

    def named(graph: Graph) -> Graph:
        pairs = zip(graph.nodes, chosen, strict=True)
        return graph.replace(nodes=[dataclasses.replace(node, kernel=kernel) for node, kernel in pairs])

    if case.branches is None:
        return dataclasses.replace(case, graph=named(case.graph))
    branches = dataclasses.replace(
        case.branches, graphs={name: named(graph) for name, graph in case.branches.graphs.items()}
    )
    return dataclasses.replace(case, graph=branches.common, branches=branches)
