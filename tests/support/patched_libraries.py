"""Libraries whose network runs patch by patch, on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from quantmcu_kit import emit, memory
from quantmcu_kit.ir.contract import Golden, Preprocess
from quantmcu_kit.ir.graph import Graph, Tensor
from quantmcu_kit.ir.schedule import Grid, HaloMode, Schedule, Stage
from quantmcu_kit.ir.types import Activation, DType, Padding, Quant, Size
from quantmcu_kit.ops import add, fully_connected, max_pool_2d, reshape
from quantmcu_kit.ops.pooling import Pool
from quantmcu_kit.patch.lay_out import lay_out_segment
from quantmcu_kit.patch.segment import segment
from tests.support.small_graphs import GraphBuilder, goldens


def small_network() -> Graph:
    """A picture of odd sizes, a stride, a residual sum, pooling: 13x11x3 -> 7x6x8 -> 4x3x8, then a class vector.

    Nodes 0 to 4 are maps, node 5 is a view and node 6 fully connected. Few values saturate.
    """
    builder = GraphBuilder("small")
    x = builder.feature_map("picture", (1, 13, 11, 3), scale=1 / 255, zero_point=-128)
    x = builder.conv(x, "stem", 8, stride=2)
    y = builder.conv(builder.conv(x, "block/expand", 8), "block/project", 8, kernel=1)
    x = builder.node("ADD", "block/add", (1, 7, 6, 8), add.Attrs(Activation.NONE), x, y)
    pool = max_pool_2d.Attrs(Pool(Size(2, 2), Size(2, 2), Padding(0, 1, 0, 0)), Activation.NONE)
    x = builder.node("MAX_POOL_2D", "pool", (1, 4, 3, 8), pool, x, like=x)
    x = builder.node("RESHAPE", "flat", (1, 96), reshape.Attrs((1, 96)), x, like=x)
    weights = builder.rng.integers(-127, 128, (5, 96)).astype(np.int8)
    builder.tensors["scores/w"] = Tensor("scores/w", (5, 96), DType.I8, Quant.per_tensor(0.002, 0), weights)
    dense = fully_connected.Attrs(False, Activation.NONE)
    x = builder.node("FULLY_CONNECTED", "scores", (1, 5), dense, x, "scores/w")
    return builder.build(("picture",), (x,))


def patched(
    graph: Graph, grid: tuple[int, int], mode: HaloMode, *, end: int | None = None, pulls_input: bool = False
) -> Schedule:
    """Nodes [0, end), by default all, in patches; the others layer by layer."""
    end = len(graph.nodes) if end is None else end
    patches = lay_out_segment(graph, segment(graph, 0, end), Grid(*grid), mode, is_pulled=pulls_input)
    rest = (Stage(end, len(graph.nodes), None),) if end < len(graph.nodes) else ()
    return Schedule((Stage(0, end, patches), *rest))


def built(
    graph: Graph,
    schedule: Schedule,
    folder: Path,
    *,
    name: str = "small",
    preprocess: Preprocess | None = None,
    vectors: Sequence[Golden] | None = None,
) -> Path:
    """A library written to ``folder/<name>``, with two golden vectors unless others are given."""
    files = emit.render(
        graph,
        memory.plan(graph, schedule),
        name=name,
        board="nano33ble",
        schedule=schedule,
        preprocess=preprocess,
        goldens=goldens(graph) if vectors is None else vectors,
    )
    return emit.write(files, folder / name)
