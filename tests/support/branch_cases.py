"""Random networks one stage of which has patches of two branch classes, drawn by hypothesis."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from quantmcu_kit.ir.branches import Branches, Scan, StaticClasses, inner_maps, may_have_classes
from quantmcu_kit.ir.graph import Graph, Tensor
from quantmcu_kit.ir.plans import MIXED, OUTLIER
from quantmcu_kit.ir.schedule import Grid, HaloMode, Patches, Schedule, Stage
from quantmcu_kit.ir.types import DType, Quant
from quantmcu_kit.ops.halo import map_size
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.patch.lay_out import lay_out_segment
from quantmcu_kit.patch.segment import cut_points, segment
from tests.support.packed_networks import WIDTHS, narrowed
from tests.support.patched_cases import random_stage
from tests.support.patched_program import Case
from tests.support.random_networks import random_maps

_FIELD = 4  # pixels: side of the squares of which pictures are made


def as_other_class(graph: Graph, inner: frozenset[str], rng: np.random.Generator, bits: int | None = None) -> Graph:
    """The network as another class has it: new widths and quantizations of the inner maps, over like ranges.

    Args:
        bits: of all of them; by default random.
    """
    tensors = dict(graph.tensors)
    for name in sorted(inner):
        tensors[name] = _requantized(tensors[name], DType.feature_map(bits or int(rng.choice(WIDTHS))), rng)
    for node in graph.nodes:
        if TABLE[node.op].weight_axis is not None and node.inputs[0] in inner:
            x, _, bias = node.inputs
            ratio = float(graph.tensors[x].quant.s) / float(tensors[x].quant.s)
            tensors[bias] = _scaled(tensors[bias], ratio)
    return graph.replace(tensors=tensors)


def _requantized(tensor: Tensor, dtype: DType, rng: np.random.Generator) -> Tensor:
    levels = tensor.dtype.high - tensor.dtype.low
    scale = float(tensor.quant.s) * levels / (dtype.high - dtype.low) * rng.uniform(0.6, 1.2)
    zero = float(tensor.quant.zero_point[0] - tensor.dtype.low) / levels * (dtype.high - dtype.low) + dtype.low
    quant = Quant.per_tensor(scale, int(np.clip(round(zero) + rng.integers(-1, 2), dtype.low, dtype.high)))
    return dataclasses.replace(tensor, dtype=dtype, quant=quant)


def _scaled(bias: Tensor, ratio: float) -> Tensor:
    quant = bias.quant
    if quant is not None:
        quant = Quant((quant.scale / np.float32(ratio)).astype(np.float32), quant.zero_point, quant.axis)
    return dataclasses.replace(bias, data=np.round(bias.data * ratio).astype(np.int32), quant=quant)


@st.composite
def random_branch_cases(draw, is_scanned: bool, mode: HaloMode = HaloMode.RECOMPUTE) -> Case:
    """A network of any widths; a stretch of it in patches of two classes, told by a scan of its input, or by place."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    graph = narrowed(draw(random_maps(8, reduces=True)), rng)
    cuts = [index for index, name in enumerate(cut_points(graph)) if name is not None]
    start = draw(st.sampled_from([cuts[0], *cuts[:-1]]))
    ends = [cut for cut in reversed(cuts) if cut >= start + 2 and segment(graph, start, cut)]
    assume(ends)
    end = draw(st.sampled_from([ends[0], *ends]))
    pulls = draw(st.booleans())
    piece = segment(graph, start, end)
    size = map_size(graph.tensors[piece.cut_map(graph)])
    grid = Grid(*(draw(st.integers(min(side, 2), min(side, 5))) for side in (size.h, size.w)))
    patches = lay_out_segment(graph, piece, grid, mode, is_pulled=pulls and start == 0)
    inner = inner_maps(patches)
    assume(inner and may_have_classes(patches))
    assume(mode is HaloMode.RECOMPUTE or any(patches.by_tensor[name].kept_rows for name in inner))
    before = [draw(random_stage(graph, 0, start, pulls))] if start else []
    after = [draw(random_stage(graph, end, len(graph.nodes), False))] if end < len(graph.nodes) else []
    graphs = {MIXED: graph, OUTLIER: as_other_class(graph, inner, rng)}
    rule = draw(random_rules(patches, is_scanned, rng))
    branches = Branches(len(before), graphs, rule)
    return Case(branches.common, Schedule((*before, Stage(start, end, patches), *after)), branches)


@st.composite
def random_rules(draw, patches: Patches, is_scanned: bool, rng: np.random.Generator) -> Scan | StaticClasses:
    """Classes that mostly differ from patch to patch; now and then all, or none, are outliers."""
    share = draw(st.sampled_from([0.5, 0.5, 0.5, 0.5, 0.3, 0.7, 0.0, 1.0]))
    if not is_scanned:
        drawn = rng.choice([OUTLIER, MIXED], (patches.row_steps, patches.column_steps), p=[share, 1 - share])
        return StaticClasses(tuple(map(tuple, drawn.tolist())))
    if share in (0.0, 1.0):
        return Scan(np.full(256, int(share), np.uint16), 0)
    table = rng.integers(0, draw(st.sampled_from([2, 300, 65536])), 256).astype(np.uint16)
    return Scan(table, max(0, int(table.mean()) + draw(st.integers(-3, 3))))


def picture(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """int8 [1, h, w, c] of squares: patches differ more than those of noise do."""
    _, height, width, channels = shape
    sides = -(-height // _FIELD), -(-width // _FIELD)
    squares = rng.integers(-120, 120, (1, *sides, channels)).repeat(_FIELD, axis=1).repeat(_FIELD, axis=2)
    squares = squares[:, :height, :width]
    return (squares + rng.integers(-8, 8, squares.shape)).astype(np.int8)


def collected(count: int, mode: HaloMode = HaloMode.RECOMPUTE) -> list[Case]:
    """The same cases every time; every other one is scanned."""
    each = zip(*(_collected(count // 2, is_scanned, mode) for is_scanned in (True, False)), strict=True)
    return [case for pair in each for case in pair]


def _collected(count: int, is_scanned: bool, mode: HaloMode) -> list[Case]:
    cases: list[Case] = []

    @settings(
        max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(random_branch_cases(is_scanned, mode))
    def collect(case):
        cases.append(case)

    collect()
    return cases[:count]
