"""Layers and networks that the cycles of ``ops.variants`` are fitted to, drawn with fixed seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.ir.types import Activation, Quant
from quantmcu_kit.ops import binary
from quantmcu_kit.ops.interpret import prepare_node
from quantmcu_kit.ops.variants import VARIANTS
from quantmcu_kit.ops.variants.variant import Variant
from tests.bench import latency_patches
from tests.bench.kernel_cases import WIDTHS, Case
from tests.bench.latency_grid import BINARY_WIDTHS, CHANNELS, MAP, OTHER, Layers, packed_binary
from tests.support.packed_networks import narrowed

COUNT, TRIALS = 90, 2500  # random layers of a variant; attempts to find them
EACH, EACH_TRIALS = 9, 150  # layers of each rare kind; attempts to find them
TOGETHER = 30  # of them in a network
MOST_MACS = 200_000
SUMS, PACKED_SUMS, MOST_SUMS = 60, 60, 12_000
PATCHED, MOBILE, PORTABLE = 24, 30, 24  # networks in patches
_SMALL = CHANNELS[:-7]
_WINDOWS = {"CONV_2D": (1, 3, 1, 5, 1, 3, (1, 5), 7, (10, 4)), "DEPTHWISE_CONV_2D": (3, 5, 7, 3, 5, 7, 2, (1, 4))}
_MIXED_WIDTHS = (
    *(((8, 8), None),) * 4,
    *((pair, None) for pair in WIDTHS),
    ((8, 8), 4),
    ((4, 4), 8),
    ((4, 8), 4),
    ((2, 2), 4),
    ((8, 4), 4),
)


@dataclass(frozen=True)
class Kind:
    """What is asked of layers; anything, where it is None.

    Attributes:
        widths: of weights and inputs.
        out_bits: of the output, by default those of the input.
    """

    window: int | tuple[int, int] | None = None
    channels: int | None = None
    stride: int | None = None
    dilation: int = 1
    widths: tuple[int, int] | None = None
    out_bits: int | None = None
    is_signed: bool | None = None
    activation: Activation | None = None


_ONLY = {  # what a variant is for
    "conv_first": Kind(window=3, channels=3),
    "depthwise_poly": Kind(window=3),
    "fully_connected_few": Kind(widths=(4, 4)),
}
# What random layers hardly ever do.
_RARE: Mapping[str, tuple[Kind, ...]] = {
    "conv_first": (
        Kind(window=3, channels=3, widths=(8, 2)),
        Kind(window=3, channels=3, widths=(8, 8), is_signed=True, activation=Activation.RELU),
        Kind(window=3, channels=3, widths=(8, 8), stride=2, is_signed=False),
    ),
    "conv_outer": (
        Kind(window=3, stride=1, widths=(4, 4)),
        Kind(window=3, stride=1, widths=(2, 4)),
        Kind(window=3, stride=1, widths=(2, 2)),
        Kind(window=3, stride=2, widths=(4, 4)),
        Kind(window=1, widths=(4, 2), out_bits=4),
        Kind(window=3, stride=1, widths=(4, 2), out_bits=4),
        Kind(window=5, widths=(4, 2)),
        Kind(window=1, widths=(2, 4), is_signed=True),
        Kind(window=1, widths=(4, 4), is_signed=True),
        Kind(window=1, widths=(2, 2), out_bits=8),
        Kind(window=1, widths=(4, 4), out_bits=8),
        Kind(window=3, widths=(4, 4), out_bits=8),
        Kind(window=1, widths=(2, 4), out_bits=8),
        Kind(window=3, channels=96, widths=(4, 4)),  # in pieces
        Kind(window=3, channels=128, widths=(2, 4)),
    ),
    "conv_pairs": (
        Kind(window=1, stride=1, widths=(8, 8), is_signed=False),
        Kind(window=1, stride=1, widths=(8, 8), is_signed=False),
        Kind(window=1, stride=2, widths=(8, 8), is_signed=False),
        Kind(window=3, channels=1, widths=(8, 8)),
        Kind(window=3, channels=3, widths=(8, 8)),
        Kind(window=3, dilation=2, widths=(8, 8)),
        Kind(window=1, widths=(8, 2)),
    ),
    "depthwise_planes": (
        Kind(window=3, stride=3, is_signed=False),
        Kind(window=3, stride=3, is_signed=True),
        Kind(widths=(8, 8), is_signed=True, activation=Activation.RELU),
        Kind(window=3, stride=1, widths=(8, 8), is_signed=False),
        Kind(window=3, stride=2, widths=(8, 8), is_signed=False),
        Kind(window=3, stride=1, widths=(8, 8), is_signed=True),
        Kind(window=3, stride=2, widths=(8, 8), is_signed=True),
        Kind(window=5, stride=2),
        Kind(window=3, widths=(8, 2)),
    ),
    "depthwise_poly": (Kind(window=3, stride=1, widths=(2, 4), out_bits=8),),
    "fully_connected_few": (
        Kind(widths=(2, 4), out_bits=8),
        Kind(widths=(2, 2)),
        Kind(widths=(4, 2), out_bits=8),
    ),
    "fully_connected_fields": (
        Kind(widths=(4, 4)),
        Kind(widths=(2, 4)),
        Kind(widths=(2, 2)),
        Kind(widths=(4, 2)),
        Kind(widths=(4, 4), out_bits=8),
        Kind(widths=(2, 2), out_bits=8),
    ),
    "fully_connected_pairs": (Kind(widths=(4, 8)),),
}


def random_case(variant: Variant, rng: np.random.Generator, index: int, kind: Kind) -> Case:
    """A layer of moderate size: odd and even maps and channels."""
    op = variant.ops[index % len(variant.ops)]
    inner, outer = (int(rng.choice(CHANNELS)) for _ in range(2))
    if op == "FULLY_CONNECTED":
        return Case("random", op, (1, 1, int(rng.integers(1, 900))), outer)
    window = kind.window or _WINDOWS[op][index % len(_WINDOWS[op])]
    tall, wide = (window, window) if isinstance(window, int) else window
    if op == "CONV_2D" and max(tall, wide) > 1:  # else maps would be all border
        inner, outer = (int(rng.choice(_SMALL)) for _ in range(2))
    inner = kind.channels or inner
    stride = (1, 1, 2)[int(rng.integers(3))] if max(tall, wide) > 1 or rng.integers(3) == 0 else 1
    stride = 1 if kind.dilation > 1 else kind.stride or stride
    per_pixel = tall * wide * (inner if op == "DEPTHWISE_CONV_2D" else inner * outer)
    height, width = (int(size) for size in rng.integers(3, 29, 2))
    while height * width * per_pixel > MOST_MACS * stride**2 and height * width > 1:
        height, width = width, height * 3 // 4 or 1
    is_padded = bool(rng.integers(2))
    least = (2, 2) if is_padded else tuple((size - 1) * kind.dilation + 1 for size in (tall, wide))
    image = (max(height, least[0]), max(width, least[1]), inner)  # padded maps may be smaller than the window
    out = inner if op == "DEPTHWISE_CONV_2D" else outer
    return Case("random", op, image, out, window, stride, is_padded, kind.dilation)


def runs_by(variant: Variant, graph: Graph, node: Node) -> bool:
    """Whether a variant runs a node."""
    return node.op in variant.ops and variant.supports(prepare_node(graph, node))


def layers_of(variant: Variant) -> Iterator[Graph]:
    """Networks of layers that a variant runs, side by side."""
    if "ADD" in variant.ops:
        yield packed_sums(variant)
        return
    rng = np.random.default_rng(len(variant.name))
    kinds = [(_ONLY.get(variant.name, Kind()), COUNT, TRIALS)]
    kinds += [(kind, EACH, EACH_TRIALS) for kind in _RARE.get(variant.name, ())]
    layers, found = Layers(variant.name), 0
    for kind, count, trials in kinds:
        end = found + count
        for index in range(trials):
            if found == end:
                break
            if not _add_layer(layers, variant, rng, index, kind):
                continue
            found += 1
            if found % TOGETHER == 0:
                yield _forced(layers.graph(), variant)
                layers = Layers(f"{variant.name}_{found}")
    if found % TOGETHER:
        yield _forced(layers.graph(), variant)


def _add_layer(layers: Layers, variant: Variant, rng: np.random.Generator, index: int, kind: Kind) -> bool:
    """Draw a layer, and have it in the network if the variant runs it."""
    case = random_case(variant, rng, index, kind)
    widths, out_bits = _MIXED_WIDTHS[int(rng.integers(len(_MIXED_WIDTHS)))]
    if kind.widths:
        widths, out_bits = kind.widths, kind.out_bits
    is_signed = bool(rng.integers(2)) if kind.is_signed is None else kind.is_signed
    options = {"widths": widths, "out_bits": out_bits, "is_signed": is_signed, "activation": kind.activation}
    trial = Layers("trial")
    y = case.layer(trial, **options)
    graph = trial.graph()
    if not runs_by(variant, graph, graph.producer(y.name)):
        return False
    y = case.layer(layers, **options)
    if y.dtype.is_packed:
        layers.narrowed(y, 8, MAP)
    return True


def _forced(graph: Graph, variant: Variant) -> Graph:
    """The graph by a variant wherever it can be."""
    nodes = [
        dataclasses.replace(node, kernel=variant.name) if runs_by(variant, graph, node) else node
        for node in graph.nodes
    ]
    return graph.replace(nodes=nodes)


def sums() -> Graph:
    """Sums of maps, or of a map and a value per channel: of equal scales and others, clamped, packed; differences."""
    layers = Layers("sums")
    for index in range(SUMS + PACKED_SUMS):
        channels = layers.channels()
        shape = (*layers.image(channels, MOST_SUMS), channels)
        other = ((1, 1, channels), shape, shape)[index % 3]
        operands = layers.map(*shape), layers.map(*other, quant=MAP if index % 5 == 4 else OTHER)
        if index >= SUMS:
            packed_binary(layers, "ADD", operands, BINARY_WIDTHS[index % len(BINARY_WIDTHS)])
            continue
        activation = Activation.RELU if index % 7 in (2, 5) else Activation.NONE
        op = "SUB" if index % 11 in (3, 7) else "ADD"
        layers.layer(op, binary.Attrs(activation), *operands, quant=Quant.per_tensor(0.06, 4))
    return layers.graph()


def packed_sums(variant: Variant) -> Graph:
    """Sums and products of two packed maps of one shape."""
    layers = Layers(variant.name)
    for index in range(PACKED_SUMS):
        channels = layers.channels()
        shape = (*layers.image(channels, MOST_SUMS), channels)
        widths = (4, 4, 4) if index % 4 == 0 else [int(layers.rng.choice(each)) for each in ((4, 2), (4, 2), (8, 4, 2))]
        packed_binary(layers, variant.ops[index % len(variant.ops)], (layers.map(*shape), layers.map(*shape)), widths)
    return _forced(layers.graph(), variant)


def by_portable_kernels() -> tuple[tuple[Graph, Schedule], ...]:
    """Other networks in their patches, for the portable kernels that call native primitives."""
    return latency_patches.networks()[PATCHED : PATCHED + PORTABLE]


def in_patches() -> Iterator[tuple[Graph, Schedule]]:
    """Networks in their patches by variants drawn from those that can."""
    rng = np.random.default_rng(0)
    networks = (*latency_patches.networks()[:PATCHED], *map(_mobile, range(MOBILE)))
    for index, (graph, schedule) in enumerate(networks):
        adds_up = any(stage.patches and stage.patches.accumulates for stage in schedule.stages)
        is_mixed = index % (2 if index < PATCHED else 4) == 1 and not adds_up
        graph = narrowed(graph, rng) if is_mixed else graph
        tiled = {entry.tensor for stage in schedule.stages if stage.patches for entry in stage.patches.maps}
        nodes = []
        for node in graph.nodes:
            able = [variant.name for variant in VARIANTS.values() if runs_by(variant, graph, node)]
            kernel = str(rng.choice(able)) if able and node.output in tiled else ""
            nodes.append(dataclasses.replace(node, kernel=kernel))
        if any(node.kernel for node in nodes):
            yield graph.replace(nodes=nodes), schedule


def _mobile(index: int) -> tuple[Graph, Schedule]:
    """A first convolution and depthwise-separable ones behind it, clamped as by a ReLU, in patches."""
    layers = Layers(f"mobile_{index}")
    rng = layers.rng
    x = layers.map(*map(int, rng.integers(16, 49, 2)), 3, quant=Quant.per_tensor(12.0 / 256, -128))
    x = _next(layers, x, "CONV_2D", (8, 16, 14)[index % 3], 3, int(rng.integers(1, 3)))
    for _ in range(int(rng.integers(1, 4))):
        window = (3, 3, 5)[int(rng.integers(3))]
        x = _next(layers, x, "DEPTHWISE_CONV_2D", x.shape[3], window, int(rng.integers(1, 3)))
        x = _next(layers, x, "CONV_2D", int(rng.choice((8, 16, 24, 32, 48))), 1, 1)
    graph = layers.graph()
    return graph, latency_patches.schedule_of(layers, graph)


def _next(layers: Layers, x: Tensor, op: str, out: int, window: int, stride: int) -> Tensor:
    """A layer behind ``x``; every fifth or so is signed."""
    image = (x.shape[1], x.shape[2], x.shape[3])
    case = Case("next", op, image, out, window, stride if min(image[:2]) > 8 else 1)
    return case.layer(layers, (8, 8), is_signed=layers.rng.integers(5) == 0, x=x)
