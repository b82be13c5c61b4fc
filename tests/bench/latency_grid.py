"""Synthetic layers for the latency table: many shapes of each kernel, side by side in one network.

Shapes are drawn with a fixed seed: odd and even maps, channels that are and are not multiples of 4 and 32.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from quantmcu_kit.ir.graph import Graph, Node, Port, Tensor
from quantmcu_kit.ir.types import Activation, DType, Padding, Quant, Size
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
    softmax,
    transpose,
)
from quantmcu_kit.ops.pooling import Pool
from quantmcu_kit.ops.spec import NoAttrs
from quantmcu_kit.ops.table import TABLE

CHANNELS = (1, 2, 3, 4, 5, 7, 8, 10, 12, 16, 21, 24, 31, 32, 33, 40, 48, 64, 67, 96, 128, 160, 256)
MAP = Quant.per_tensor(0.047, -11)
OTHER = Quant.per_tensor(0.031, 20)
PACKED = Quant.per_tensor(0.8, 1)
PROBABILITY = Quant.per_tensor(1 / 256, -128)
BINARY_WIDTHS = ((8, 4, 8), (4, 4, 4), (8, 8, 4), (4, 4, 8), (2, 2, 2), (4, 8, 4), (8, 2, 8))  # of operands and output
MOST_MACS = 150_000
MOST_VALUES = 12_000
_UNPACKED = 16  # sums and products of int8 maps; others follow


class Layers:
    """A network of layers that have nothing to do with each other: each reads network inputs and is an output."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        self._tensors: dict[str, Tensor] = {}
        self._nodes: list[Node] = []
        self._inputs: list[str] = []

    def map(self, *shape: int, quant: Quant = MAP) -> Tensor:
        """A network input of ``shape``, without the batch."""
        self._inputs.append(f"x{len(self._inputs)}")
        return self._keep(Tensor(self._inputs[-1], (1, *shape), DType.I8, quant))

    def constant(self, values: np.ndarray, quant: Quant | None = None, dtype: DType | None = None) -> Tensor:
        """A constant; ``dtype`` where an element is narrower than the array's."""
        dtype = dtype or DType(values.dtype.name)
        return self._keep(Tensor(f"c{len(self._tensors)}", values.shape, dtype, quant, values))

    def narrowed(self, tensor: Tensor, bits: int, quant: Quant) -> Tensor:
        """A map of so many bits with the values of another."""
        dtype = DType.feature_map(bits)
        return tensor if dtype is tensor.dtype else self.layer("QUANTIZE", NoAttrs(), tensor, quant=quant, dtype=dtype)

    def trained_weights(self, shape: tuple[int, ...], axis: int, bits: int) -> Tensor:
        """Weights of so many bits, distributed as training leaves them: normally, few near the end of the range."""
        dtype = DType.weights(bits)
        values = np.round(self.rng.normal(0, dtype.high / 2.5, shape)).clip(-dtype.high, dtype.high).astype(np.int8)
        scales = self.rng.uniform(0.002, 0.02, shape[axis]).astype(np.float32) * 127 / dtype.high
        return self.constant(values, Quant(scales, np.zeros(shape[axis], np.int32), axis), dtype)

    def weights(self, shape: tuple[int, ...], axis: int, zero_point: int = 0) -> Tensor:
        """Random weights, per channel along ``axis`` unless they have a zero-point."""
        count = 1 if zero_point else shape[axis]
        scales = self.rng.uniform(0.002, 0.02, count).astype(np.float32)
        quant = Quant(scales, np.full(count, zero_point, np.int32), None if zero_point else axis)
        return self.constant(self.rng.integers(-127, 128, shape).astype(np.int8), quant)

    def bias(self, channels: int) -> Tensor:
        """A random bias."""
        return self.constant(self.rng.integers(-4000, 4000, channels).astype(np.int32))

    def layer(self, op: str, attrs: object, *inputs: Tensor, quant: Quant = MAP, dtype: DType = DType.I8) -> Tensor:
        """A node and the map that it writes."""
        shape = TABLE[op].infer(attrs, *inputs)
        name = f"y{len(self._nodes)}"
        self._nodes.append(Node(op, name, attrs, tuple(tensor.name for tensor in inputs), (name,)))
        return self._keep(Tensor(name, shape, dtype, quant))

    def graph(self) -> Graph:
        """The network; what another layer reads is no output."""
        read = {name for node in self._nodes for name in node.inputs}
        outputs = [node.output for node in self._nodes if node.output not in read]
        ports = tuple(map(self._port, self._inputs)), tuple(map(self._port, outputs))
        return Graph(self.name, dict(self._tensors), tuple(self._nodes), *ports, sha256="00ff" * 16)

    def _keep(self, tensor: Tensor) -> Tensor:
        self._tensors[tensor.name] = tensor
        return tensor

    def _port(self, name: str) -> Port:
        tensor = self._tensors[name]
        return Port(name, name, tensor.dtype, tensor.shape, tensor.quant)

    def channels(self) -> int:
        """A number of channels."""
        return int(self.rng.choice(CHANNELS))

    def image(self, cost: float, most: float, window: tuple[int, int] = (1, 1)) -> tuple[int, int]:
        """Height and width, such that ``cost`` per pixel stays below ``most`` in all, no smaller than the window."""
        height, width = self.rng.integers(1, 17, 2)
        while height * width * cost > most and height * width > 1:
            height, width = width, height * 2 // 3 or 1
        return max(int(height), window[0]), max(int(width), window[1])

    def padding(self, window: tuple[int, int]) -> Padding:
        """None, the same on all sides, or the asymmetric one of even sizes with a stride."""
        h, w = ((size - 1) // 2 for size in window)
        return (Padding(), Padding(h, h, w, w), Padding(h, window[0] - 1 - h, w, window[1] - 1 - w))[
            self.rng.integers(3)
        ]

    def stride(self) -> Size:
        """1 or 2, mostly the same along both axes."""
        return (Size(1, 1), Size(1, 1), Size(2, 2), Size(1, 2))[self.rng.integers(4)]


def filling(taps: int) -> Quant:
    """An output quantization whose range random sums of ``taps`` products fill and sometimes leave."""
    return Quant.per_tensor(60 * 60 * taps**0.5 * 0.011 * float(MAP.s) / 50, 7)


def _convolution_attrs(layers: Layers, window: tuple[int, int], dilation: int) -> convolution.Attrs:
    stride = Size(1, 1) if dilation > 1 else layers.stride()
    return convolution.Attrs(stride, Size(dilation, dilation), layers.padding(window), Activation.RELU6)


def _conv_2d(layers: Layers, index: int) -> None:
    window = ((1, 1), (3, 3), (1, 1), (5, 5), (3, 3), (7, 7), (1, 1), (1, 5), (3, 3), (4, 2))[index % 10]
    dilation = 2 if index % 13 == 4 else 1
    inner, outer = layers.channels(), layers.channels()
    taps = inner * window[0] * window[1]
    outer = min(outer, -(-MOST_MACS // taps))
    attrs = _convolution_attrs(layers, window, dilation)
    reach = tuple((size - 1) * dilation + 1 for size in window)
    x = layers.map(*layers.image(taps * outer, MOST_MACS, reach), inner)
    weights = layers.weights((outer, *window, inner), 0, zero_point=-9 if index % 9 == 5 else 0)
    layers.layer("CONV_2D", attrs, x, weights, layers.bias(outer), quant=filling(taps))


def _depthwise_conv_2d(layers: Layers, index: int) -> None:
    window = ((3, 3), (5, 5), (3, 3), (7, 7), (2, 2), (3, 3), (1, 4), (11, 1), (3, 10))[index % 9]
    dilation = 2 if index % 13 == 4 else 1
    inner = max(layers.channels(), 2)
    multiplier = (1, 1, 1, 1, 1, 2, 1, 1, 4, 1, 7)[index % 11]
    outer, taps = inner * multiplier, window[0] * window[1]
    reach = tuple((size - 1) * dilation + 1 for size in window)
    x = layers.map(*layers.image(taps * outer, MOST_MACS // 2, reach), inner)
    weights = layers.weights((1, *window, outer), 3, zero_point=-9 if index % 7 == 3 else 0)
    attrs = _convolution_attrs(layers, window, dilation)
    layers.layer("DEPTHWISE_CONV_2D", attrs, x, weights, layers.bias(outer), quant=filling(taps))


def _fully_connected(layers: Layers, index: int) -> None:
    taps, outer = (int(layers.rng.integers(1, 600)) if index % 2 else layers.channels() for _ in range(2))
    rows = (1, 1, 3)[index % 3]
    weights = layers.weights((outer, taps), 0, zero_point=-9 if index % 5 == 3 else 0)
    attrs = fully_connected.Attrs(rows > 1, Activation.NONE)
    x = layers.map(rows, taps) if rows > 1 else layers.map(taps)
    layers.layer("FULLY_CONNECTED", attrs, x, weights, layers.bias(outer), quant=filling(taps))


def _pool(layers: Layers, index: int) -> tuple[Tensor, Pool]:
    window = ((2, 2), (3, 3), (2, 2), (5, 5), (4, 1), (3, 3), (7, 7))[index % 7]
    channels = layers.channels()
    stride = Size(*window) if index % 3 == 0 else layers.stride()
    x = layers.map(*layers.image(channels * window[0], MOST_VALUES * 2, window), channels)
    return x, Pool(Size(*window), stride, layers.padding(window))


def _average_pool_2d(layers: Layers, index: int) -> None:
    x, pool = _pool(layers, index)
    layers.layer("AVERAGE_POOL_2D", average_pool_2d.Attrs(pool, Activation.NONE, is_uint8=index % 4 == 3), x)


def _max_pool_2d(layers: Layers, index: int) -> None:
    x, pool = _pool(layers, index)
    layers.layer("MAX_POOL_2D", max_pool_2d.Attrs(pool, Activation.NONE), x)


def _mean(layers: Layers, index: int) -> None:
    channels = layers.channels()
    x = layers.map(*layers.image(channels, MOST_VALUES), channels)
    axes = ((1, 2), (3,), (1, 2), (2,))[index % 4]
    layers.layer("MEAN", mean.Attrs(axes, keep_dims=False), x, quant=Quant.per_tensor(0.02, 3))


def _binary(op: str) -> Callable[[Layers, int], None]:
    def add_layer(layers: Layers, index: int) -> None:
        channels = layers.channels()
        shape = (*layers.image(channels, MOST_VALUES), channels)
        other = (shape, (1, 1, channels), shape)[index % 3]
        operands = layers.map(*shape), layers.map(*other, quant=OTHER)
        quant = Quant.per_tensor(0.06 if op == "ADD" else 0.09, 4)
        activation = Activation.RELU if index % 4 == 3 else Activation.NONE
        if index < _UNPACKED:
            layers.layer(op, binary.Attrs(activation), *operands, quant=quant)
        else:
            packed_binary(layers, op, operands, BINARY_WIDTHS[index % len(BINARY_WIDTHS)])

    return add_layer


def packed_binary(layers: Layers, op: str, operands: Sequence[Tensor], widths: Sequence[int]) -> None:
    """A sum or product of maps of so many bits; the last width is the output's."""
    narrow = [layers.narrowed(x, bits, PACKED) for x, bits in zip(operands, widths, strict=False)]
    quant = PACKED if widths[2] < 8 else Quant.per_tensor(0.06, 4)
    y = layers.layer(op, binary.Attrs(Activation.NONE), *narrow, quant=quant, dtype=DType.feature_map(widths[2]))
    layers.narrowed(y, 8, MAP)


def _concatenation(layers: Layers, index: int) -> None:
    channels, axis = (layers.channels(), layers.channels()), (3, 3, 1)[index % 3]
    height, width = layers.image(sum(channels), MOST_VALUES)
    if axis == 1:
        channels = channels[:1] * 2
    rescaled = OTHER if index % 4 == 2 else MAP
    parts = layers.map(height, width, channels[0]), layers.map(height, width, channels[1], quant=rescaled)
    layers.layer("CONCATENATION", concatenation.Attrs(axis), *parts)


def _lookup(layers: Layers, index: int) -> None:
    channels = layers.channels()
    layers.layer("RELU", NoAttrs(), layers.map(*layers.image(channels, MOST_VALUES), channels))


def _softmax(layers: Layers, index: int) -> None:
    rows, depth = (1, 1, 6, 20)[index % 4], max(layers.channels(), 2)
    shape = (rows, depth) if rows > 1 else (depth,)
    scale = (0.05, 0.13, 0.02, 0.3)[index // 2 % 4]
    layers.layer("SOFTMAX", softmax.Attrs(1.0), layers.map(*shape, quant=Quant.per_tensor(scale, 3)), quant=PROBABILITY)


_PADDINGS = (
    ((0, 1, 1, 0), (0, 1, 1, 0)),
    ((0, 0, 0, 0), (0, 1, 1, 0)),
    ((0, 0, 0, 2), (0, 0, 0, 3)),
    ((0, 2, 1, 0), (0, 0, 3, 0)),
    ((0, 1, 0, 1), (0, 1, 2, 4)),
)


def _pad(layers: Layers, index: int) -> None:
    channels = layers.channels()
    x = layers.map(*layers.image(channels, MOST_VALUES), channels)
    before, after = _PADDINGS[index % len(_PADDINGS)]
    layers.layer("PAD", pad.Attrs(before, after), x)


def _reshape(layers: Layers, index: int) -> None:
    """There and back, as only packed values have to move."""
    channels = layers.channels()
    height, width = layers.image(channels, MOST_VALUES)
    x = layers.map(height, width, channels)
    flat = reshape.Attrs((1, height * width * channels))
    y = layers.layer("RESHAPE", flat, x, quant=PACKED, dtype=(DType.U4, DType.U2)[index % 2])
    if index % 3 == 0:
        y = layers.layer("RESHAPE", reshape.Attrs((1, height, width * channels)), y, quant=PACKED, dtype=DType.U4)
    layers.layer("RESHAPE", reshape.Attrs(x.shape), y)


def _resize_nearest_neighbor(layers: Layers, index: int) -> None:
    channels = layers.channels()
    height, width = layers.image(channels * 4, MOST_VALUES)
    size = (Size(2 * height, 2 * width), Size(height + 3, width + 5), Size((height + 1) // 2, width))[index % 3]
    attrs = resize_nearest_neighbor.Attrs(size, align_corners=False, half_pixel_centers=index % 2 == 1)
    layers.layer("RESIZE_NEAREST_NEIGHBOR", attrs, layers.map(height, width, channels))


def _transpose(layers: Layers, index: int) -> None:
    order = ((0, 1, 3, 2), (0, 2, 1, 3), (0, 3, 1, 2), (0, 2, 3, 1), (0, 3, 2, 1))[index % 5]
    channels = layers.channels()
    layers.layer("TRANSPOSE", transpose.Attrs(order), layers.map(*layers.image(channels, MOST_VALUES), channels))


_GRIDS: Mapping[str, tuple[Callable[[Layers, int], None], int]] = {
    "add": (_binary("ADD"), _UNPACKED + 32),
    "average_pool_2d": (_average_pool_2d, 40),
    "concatenation": (_concatenation, 48),
    "conv_2d": (_conv_2d, 100),
    "depthwise_conv_2d": (_depthwise_conv_2d, 80),
    "fully_connected": (_fully_connected, 40),
    "lookup": (_lookup, 12),
    "max_pool_2d": (_max_pool_2d, 32),
    "mean": (_mean, 24),
    "mul": (_binary("MUL"), _UNPACKED + 32),
    "pad": (_pad, 60),
    "reshape": (_reshape, 20),
    "resize_nearest_neighbor": (_resize_nearest_neighbor, 60),
    "softmax": (_softmax, 32),
    "transpose": (_transpose, 24),
}


_CHAINS = ((1, 1, 1), (1, 2, 10), (1, 8, 16), (2, 1, 20), (1, 12, 64), (3, 2, 12), (2, 8, 100), (4, 3, 336), (1, 30, 3))


def chains() -> tuple[Graph, ...]:
    """Small networks of (branches, layers of each, values), for what is spent between the layers."""
    networks = []
    for branches, depth, values in _CHAINS:
        layers = Layers(f"chain_{branches}_{depth}_{values}")
        for _ in range(branches):
            x = layers.map(values)
            for _ in range(depth):
                x = layers.layer("RELU", NoAttrs(), x)
        networks.append(layers.graph())
    return tuple(networks)


def graphs() -> tuple[Graph, ...]:
    """One network per kernel, called like it: layers side by side."""
    networks = []
    for kernel, (add_layer, count) in _GRIDS.items():
        layers = Layers(kernel)
        for index in range(count):
            add_layer(layers, index)
        networks.append(layers.graph())
    return tuple(networks)
