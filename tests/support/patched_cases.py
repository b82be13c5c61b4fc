"""Random networks with random schedules, drawn by hypothesis."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.schedule import Grid, HaloMode, Schedule, Stage
from quantmcu_kit.ops.halo import map_size
from quantmcu_kit.patch.lay_out import lay_out_segment
from quantmcu_kit.patch.segment import cut_points, segment
from tests.support.packed_networks import narrowed
from tests.support.patched_program import Case
from tests.support.random_networks import random_maps


@st.composite
def random_cases(draw, *, packed: bool = False) -> Case:
    """A network cut into up to three stages, each whole or in patches of a random grid and mode.

    Args:
        packed: maps and weights of random widths; some networks run layer by layer.
    """
    graph = draw(random_maps(8, reduces=True))
    if packed:
        graph = narrowed(graph, np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    cuts = [index for index, name in enumerate(cut_points(graph)) if name is not None]
    inner = cuts[1:-1]
    limits = sorted(draw(st.sets(st.sampled_from(inner), max_size=2))) if inner else []
    pulls = draw(st.booleans())
    stages = []
    for start, end in zip([0, *limits], [*limits, cuts[-1]], strict=True):
        stages.append(draw(random_stage(graph, start, end, pulls)))
    assume(packed or any(stage.patches for stage in stages))
    merged = [stages[0]]
    for stage in stages[1:]:
        if stage.patches is None and merged[-1].patches is None:
            merged[-1] = Stage(merged[-1].start, stage.end, None)
        else:
            merged.append(stage)
    return Case(graph, Schedule(tuple(merged)))


@st.composite
def random_stage(draw, graph: Graph, start: int, end: int, pulls: bool) -> Stage:
    """Nodes [start, end) in patches where that is possible, mostly."""
    piece = segment(graph, start, end)
    if piece is None or draw(st.integers(0, 5)) == 0:
        return Stage(start, end, None)
    size = map_size(graph.tensors[piece.cut_map(graph)])
    mode = draw(st.sampled_from(HaloMode))
    most = (20 if mode.keeps_rows else min(size.h, 9)), (20 if mode.keeps_columns else min(size.w, 9))
    grid = Grid(*(draw(st.integers(1, limit)) for limit in most))
    return Stage(start, end, lay_out_segment(graph, piece, grid, mode, is_pulled=pulls and start == 0))


def collected(count: int, *, packed: bool = False) -> list[Case]:
    """The same cases every time."""
    cases: list[Case] = []

    @settings(
        max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(random_cases(packed=packed))
    def collect(case):
        cases.append(case)

    collect()
    return cases[:count]
