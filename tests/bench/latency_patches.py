"""Synthetic networks that run patch by patch, for the latency table: random grids, modes and stages of random layers.

Drawn with a fixed seed. The layers are those of ``latency_grid.py``, one after the other, with branches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from quantmcu_kit.ir.branches import Branches, Scan
from quantmcu_kit.ir.graph import Graph, Tensor
from quantmcu_kit.ir.plans import MIXED, OUTLIER
from quantmcu_kit.ir.schedule import Grid, HaloMode, Schedule, Stage
from quantmcu_kit.ir.types import Activation, Padding, Size
from quantmcu_kit.ops import (
    average_pool_2d,
    binary,
    concatenation,
    convolution,
    fully_connected,
    max_pool_2d,
    mean,
    pad,
    reshape,
    resize_nearest_neighbor,
)
from quantmcu_kit.ops.pooling import Pool
from quantmcu_kit.ops.spec import NoAttrs
from quantmcu_kit.patch.lay_out import lay_out_segment
from quantmcu_kit.patch.segment import cut_points, segment
from tests.bench.latency_grid import OTHER, Layers, filling
from tests.support.packed_networks import narrowed

COUNT, MOVING, SCANNED = 48, 16, 12
_CHANNELS = (3, 4, 8, 12, 16, 21, 32, 40)
_ONE = Size(1, 1)
_Add = Callable[[Layers, Tensor], Tensor]


def networks() -> tuple[tuple[Graph, Schedule], ...]:
    """Networks with the schedules they run by; in the last ones patches do little but keep pixels."""
    return (*map(_network, range(COUNT)), *map(_moving, range(MOVING)))


def scanned() -> tuple[tuple[Branches, Schedule], ...]:
    """Two classes that compute alike, told by their pixels: what differs from no classes is the scan."""
    return tuple(map(_scanned, range(SCANNED)))


def _scanned(index: int) -> tuple[Branches, Schedule]:
    layers = Layers(f"scanned_{index}")
    height, width, channels = (int(layers.rng.integers(low, high)) for low, high in ((8, 48), (8, 48), (1, 40)))
    x = layers.map(height, width, channels)
    pool = Pool(_ONE, _ONE, Padding(0, 0, 0, 0))
    for _ in range(3):  # the last two are the stage
        x = layers.layer("MAX_POOL_2D", max_pool_2d.Attrs(pool, Activation.NONE), x, quant=x.quant)
    graph = layers.graph()
    if index % 3 == 2:
        bits = dict.fromkeys((node.output for node in graph.nodes), 4 if index % 2 else 2)
        graph = narrowed(graph, np.random.default_rng(index), bits)
    grid = Grid(int(layers.rng.integers(1, 6)), int(layers.rng.integers(1, 6)))
    patches = lay_out_segment(graph, segment(graph, 1, 3), grid, HaloMode.RECOMPUTE, is_pulled=False)
    rule = Scan(np.zeros(256, np.uint16), 0)
    return Branches(1, {OUTLIER: graph, MIXED: graph}, rule), Schedule((Stage(0, 1, None), Stage(1, 3, patches)))


def _moving(index: int) -> tuple[Graph, Schedule]:
    """Maxima over columns of a tall map, or rows of a wide one, whose input is pulled and kept."""
    layers = Layers(f"moving_{index}")
    is_tall = index % 2 == 0
    height, width = (56, 14) if is_tall else (14, 40)
    x = layers.map(height, width, int(layers.rng.choice(_CHANNELS)))
    size = Size(1, 5) if is_tall else Size(5, 3)
    pool = Pool(size, _ONE, Padding(size.h // 2, size.h // 2, size.w // 2, size.w // 2))
    layers.layer("MAX_POOL_2D", max_pool_2d.Attrs(pool, Activation.NONE), x, quant=x.quant)
    graph = layers.graph()
    grid = Grid(int(layers.rng.integers(1, 4)), int(layers.rng.integers(3, 12)))
    mode = (HaloMode.REUSE_COLUMNS, HaloMode.REUSE_ROWS, HaloMode.REUSE, HaloMode.REUSE)[index % 4]
    patches = lay_out_segment(graph, segment(graph, 0, 1), grid, mode, is_pulled=True)
    return graph, Schedule((Stage(0, 1, patches),))


def _network(index: int) -> tuple[Graph, Schedule]:
    layers = Layers(f"patches_{index}")
    height, width = (int(size) for size in layers.rng.integers(7, 18, 2))
    x = layers.map(height, width, int(layers.rng.choice(_CHANNELS[:5])))
    names = [list(_LAYERS)[(index + step * 5) % len(_LAYERS)] for step in range(int(layers.rng.integers(2, 7)))]
    for name in names:
        x = _LAYERS[name](layers, x)
    end = list(_ENDS)[index % 5 % len(_ENDS)]
    if end is not None:
        _ENDS[end](layers, x)
    graph = layers.graph()
    return graph, schedule_of(layers, graph)


def schedule_of(layers: Layers, graph: Graph) -> Schedule:
    """Stages of a few nodes each, most of them on a random grid."""
    rng = layers.rng
    cuts = cut_points(graph)
    stages: list[Stage] = []
    start = 0
    while start < len(graph.nodes):
        later = [position for position in range(start + 1, len(cuts)) if cuts[position] is not None]
        end = later[min(int(rng.choice((1, 2, 4, 6, 20))), len(later)) - 1]
        piece = segment(graph, start, end)
        mode = tuple(HaloMode)[rng.integers(len(HaloMode))]
        patches = None
        if piece is not None:
            _, height, width, _ = graph.tensors[piece.cut_map(graph)].shape
            columns = 1 if rng.integers(3) == 0 else int(rng.integers(1, width + 1))
            grid = Grid(int(rng.integers(1, height + 1)), columns)
            patches = lay_out_segment(graph, piece, grid, mode, is_pulled=start == 0 and bool(rng.integers(2)))
        stages.append(Stage(start, end, patches))
        start = end
    return Schedule(tuple(stages))


def _window(layers: Layers, x: Tensor) -> tuple[Size, Size, Padding]:
    size = min(int(layers.rng.choice((2, 3, 5))), *x.shape[1:3])
    stride = 2 if layers.rng.integers(3) == 0 and min(x.shape[1:3]) > 6 else 1
    before = (size - 1) // 2
    return Size(size, size), Size(stride, stride), Padding(before, size - 1 - before, before, size - 1 - before)


def _conv_2d(layers: Layers, x: Tensor) -> Tensor:
    window, stride, padding = _window(layers, x)
    return _convolved(layers, x, int(layers.rng.choice(_CHANNELS)), window, stride, padding)


def _pointwise(layers: Layers, x: Tensor) -> Tensor:
    return _convolved(layers, x, int(layers.rng.choice(_CHANNELS)), _ONE, _ONE, Padding())


def _convolved(layers: Layers, x: Tensor, outer: int, window: Size, stride: Size, padding: Padding) -> Tensor:
    inner = x.shape[3]
    weights = layers.weights((outer, window.h, window.w, inner), 0)
    attrs = convolution.Attrs(stride, _ONE, padding, Activation.NONE)
    return layers.layer("CONV_2D", attrs, x, weights, layers.bias(outer), quant=filling(window.h * window.w * inner))


def _depthwise_conv_2d(layers: Layers, x: Tensor) -> Tensor:
    window, stride, padding = _window(layers, x)
    weights = layers.weights((1, window.h, window.w, x.shape[3]), 3)
    attrs = convolution.Attrs(stride, _ONE, padding, Activation.NONE)
    quant = filling(window.h * window.w)
    return layers.layer("DEPTHWISE_CONV_2D", attrs, x, weights, layers.bias(x.shape[3]), quant=quant)


def _average_pool_2d(layers: Layers, x: Tensor) -> Tensor:
    return layers.layer(
        "AVERAGE_POOL_2D", average_pool_2d.Attrs(Pool(*_window(layers, x)), Activation.NONE, False), x, quant=x.quant
    )


def _max_pool_2d(layers: Layers, x: Tensor) -> Tensor:
    return layers.layer("MAX_POOL_2D", max_pool_2d.Attrs(Pool(*_window(layers, x)), Activation.NONE), x, quant=x.quant)


def _binary(op: str) -> _Add:
    """With a branch, or a value per channel."""

    def add_layer(layers: Layers, x: Tensor) -> Tensor:
        if layers.rng.integers(2):
            other = _convolved(layers, x, x.shape[3], _ONE, _ONE, Padding())
        else:
            other = layers.constant(layers.rng.integers(-128, 128, (1, 1, 1, x.shape[3])).astype("int8"), OTHER)
        return layers.layer(op, binary.Attrs(Activation.NONE), x, other)

    return add_layer


def _concatenation(layers: Layers, x: Tensor) -> Tensor:
    branch = layers.layer("RELU", NoAttrs(), x, quant=x.quant)
    return layers.layer("CONCATENATION", concatenation.Attrs(3), branch, x, quant=x.quant)


def _lookup(layers: Layers, x: Tensor) -> Tensor:
    return layers.layer("RELU", NoAttrs(), x)


def _pad(layers: Layers, x: Tensor) -> Tensor:
    return layers.layer("PAD", pad.Attrs((0, 1, 2, 0), (0, 0, 1, 0)), x, quant=x.quant)


def _resize(layers: Layers, x: Tensor) -> Tensor:
    size = Size(x.shape[1] + 4, x.shape[2] * 2 if x.shape[2] < 16 else x.shape[2] // 2)
    attrs = resize_nearest_neighbor.Attrs(size, align_corners=False, half_pixel_centers=False)
    return layers.layer("RESIZE_NEAREST_NEIGHBOR", attrs, x, quant=x.quant)


def _mean(layers: Layers, x: Tensor) -> Tensor:
    return layers.layer("MEAN", mean.Attrs((1, 2), keep_dims=False), x)


def _global_average(layers: Layers, x: Tensor) -> Tensor:
    pool = Pool(Size(*x.shape[1:3]), _ONE, Padding())
    return layers.layer("AVERAGE_POOL_2D", average_pool_2d.Attrs(pool, Activation.NONE, False), x, quant=x.quant)


def _fully_connected(layers: Layers, x: Tensor) -> Tensor:
    outer = int(layers.rng.choice(_CHANNELS))
    row = layers.layer("RESHAPE", reshape.Attrs((1, x.elements)), x, quant=x.quant)
    weights = layers.weights((outer, x.elements), 0, zero_point=-9 if layers.rng.integers(3) == 0 else 0)
    attrs = fully_connected.Attrs(False, Activation.NONE)
    return layers.layer("FULLY_CONNECTED", attrs, row, weights, layers.bias(outer), quant=filling(x.elements))


_LAYERS: Mapping[str, _Add] = {
    "conv": _conv_2d,
    "depthwise": _depthwise_conv_2d,
    "pointwise": _pointwise,
    "sum": _binary("ADD"),
    "average": _average_pool_2d,
    "product": _binary("MUL"),
    "concatenation": _concatenation,
    "max": _max_pool_2d,
    "lookup": _lookup,
    "pad": _pad,
    "resize": _resize,
}
_ENDS: Mapping[str | None, _Add | None] = {
    "mean": _mean,
    "average": _global_average,
    "fully connected": _fully_connected,
    None: None,
}
