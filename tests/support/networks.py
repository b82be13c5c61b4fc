"""Small networks written as .tflite files, for tests of the importer and the passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tflite

from tests.support.tflite_builder import OperatorDef, Options, TensorDef, build, constant, options

VALID, SAME = tflite.Padding.VALID, tflite.Padding.SAME
SCALE, ZERO = 0.05, -7  # of int8 feature maps, unless a test says otherwise


def conv_options(padding: int = SAME, stride: int = 1, activation: int = 0, dilation: int = 1) -> Options:
    """Conv2DOptions, the same along both axes."""
    return options(
        "Conv2DOptions",
        padding=padding,
        stride_h=stride,
        stride_w=stride,
        dilation_h_factor=dilation,
        dilation_w_factor=dilation,
        fused_activation_function=activation,
    )


def int8_map(name: str, shape: tuple[int, ...], scale: float = SCALE, zero_point: int = ZERO) -> TensorDef:
    """A feature map of an integer network."""
    return TensorDef(name, shape, "int8", scale=scale, zero_point=zero_point)


class Network:
    """A network in the making; every method that adds a node takes and returns names of tensors.

    Args:
        dtype: ``int8`` or ``float32``, of feature maps and weights.
    """

    def __init__(self, dtype: str = "int8") -> None:
        self.dtype = dtype
        self.tensors: dict[str, TensorDef] = {}
        self.operators: list[OperatorDef] = []
        self._rng = np.random.default_rng(0)

    def map(self, name: str, shape: Sequence[int], scale: float = SCALE, zero: int = ZERO, dtype: str = "") -> str:
        """A feature map."""
        quantized = (dtype or self.dtype) in ("int8", "uint8")
        self.tensors[name] = TensorDef(name, tuple(shape), dtype or self.dtype, scale if quantized else None, zero)
        return name

    def constant(self, name: str, data: Any, dtype: str = "int32", **quantization: Any) -> str:
        """A constant."""
        self.tensors[name] = constant(name, data, dtype, **quantization)
        return name

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        y: str,
        shape: Sequence[int],
        chosen: Options | None = None,
        version: int = 2,
        **map_arguments: Any,
    ) -> str:
        """Any operator and the map it writes."""
        self.operators.append(OperatorDef(op, list(inputs), [y], chosen, version if self.dtype == "int8" else 1))
        return self.map(y, shape, **map_arguments)

    def conv(
        self,
        x: str,
        y: str,
        outer: int,
        *,
        kernel: int = 3,
        padding: int = SAME,
        stride: int = 1,
        dilation: int = 1,
        activation: int = 0,
        **map_arguments: Any,
    ) -> str:
        """A convolution with random weights."""
        inputs = [x, *self._weights(y, (outer, kernel, kernel, self.tensors[x].shape[3]), axis=0)]
        shape = (1, *self._window_size(x, (kernel - 1) * dilation + 1, padding, stride), outer)
        chosen = conv_options(padding, stride, activation, dilation)
        return self.node("CONV_2D", inputs, y, shape, chosen, 3, **map_arguments)

    def depthwise(self, x: str, y: str, *, kernel: int = 3, padding: int = SAME, stride: int = 1) -> str:
        """A depthwise convolution with multiplier 1 and random weights."""
        channels = self.tensors[x].shape[3]
        inputs = [x, *self._weights(y, (1, kernel, kernel, channels), axis=3)]
        chosen = options(
            "DepthwiseConv2DOptions",
            padding=padding,
            stride_h=stride,
            stride_w=stride,
            depth_multiplier=1,
            dilation_h_factor=1,
            dilation_w_factor=1,
        )
        shape = (1, *self._window_size(x, kernel, padding, stride), channels)
        return self.node("DEPTHWISE_CONV_2D", inputs, y, shape, chosen, 3)

    def pool(self, op: str, x: str, y: str, *, window: int = 2, stride: int = 2, padding: int = SAME) -> str:
        """AVERAGE_POOL_2D or MAX_POOL_2D."""
        chosen = options(
            "Pool2DOptions",
            padding=padding,
            filter_height=window,
            filter_width=window,
            stride_h=stride,
            stride_w=stride,
            fused_activation_function=0,
        )
        shape = (1, *self._window_size(x, window, padding, stride), self.tensors[x].shape[3])
        return self.node(op, [x], y, shape, chosen)

    def concatenation(self, parts: Sequence[str], y: str, axis: int = 3) -> str:
        """A CONCATENATION of channels, or along another axis."""
        chosen = options("ConcatenationOptions", axis=axis, fused_activation_function=0)
        shape = list(self.tensors[parts[0]].shape)
        shape[axis] = sum(self.tensors[part].shape[axis] for part in parts)
        return self.node("CONCATENATION", parts, y, shape, chosen)

    def pad(self, x: str, y: str, paddings: Sequence[tuple[int, int]], **map_arguments: Any) -> str:
        """A PAD by (before, after) of each axis."""
        shape = [size + sum(sides) for size, sides in zip(self.tensors[x].shape, paddings, strict=True)]
        return self.node("PAD", [x, self.constant(f"{y}/paddings", paddings)], y, shape, **map_arguments)

    def transpose(self, x: str, y: str, permutation: Sequence[int], **map_arguments: Any) -> str:
        """A TRANSPOSE."""
        shape = [self.tensors[x].shape[axis] for axis in permutation]
        return self.node("TRANSPOSE", [x, self.constant(f"{y}/order", permutation)], y, shape, **map_arguments)

    def mean(self, x: str, y: str, axes: Sequence[int], *, keep_dims: bool = False) -> str:
        """A MEAN."""
        kept = enumerate(self.tensors[x].shape)
        shape = [1 if axis in axes else size for axis, size in kept if keep_dims or axis not in axes]
        chosen = options("ReducerOptions", keep_dims=keep_dims)
        return self.node("MEAN", [x, self.constant(f"{y}/axes", axes)], y, shape, chosen)

    def add(self, a: str, b: str, y: str, **map_arguments: Any) -> str:
        """An ADD of two maps of one shape."""
        chosen = options("AddOptions", fused_activation_function=0)
        return self.node("ADD", [a, b], y, self.tensors[a].shape, chosen, **map_arguments)

    def resize(self, x: str, y: str, height: int, width: int) -> str:
        """A RESIZE_NEAREST_NEIGHBOR."""
        chosen = options("ResizeNearestNeighborOptions", align_corners=False, half_pixel_centers=False)
        shape = (1, height, width, self.tensors[x].shape[3])
        return self.node("RESIZE_NEAREST_NEIGHBOR", [x, self.constant(f"{y}/size", [height, width])], y, shape, chosen)

    def add_map(self, x: str, y: str) -> str:
        """An ADD with a random constant map."""
        values = self._rng.integers(-128, 128, self.tensors[x].shape)
        constant = self.constant(f"{y}/map", values, "int8", scale=SCALE, zero_point=ZERO)
        chosen = options("AddOptions", fused_activation_function=0)
        return self.node("ADD", [x, constant], y, self.tensors[x].shape, chosen)

    def scale_channels(self, x: str, y: str) -> str:
        """A MUL with a random constant per channel."""
        factors = self._rng.integers(-128, 128, (1, 1, 1, self.tensors[x].shape[3]))
        constant = self.constant(f"{y}/factors", factors, "int8", scale=0.01, zero_point=3)
        chosen = options("MulOptions", fused_activation_function=0)
        return self.node("MUL", [x, constant], y, self.tensors[x].shape, chosen)

    def fully_connected(self, x: str, y: str, outer: int) -> str:
        """A RESHAPE to one row, and a FULLY_CONNECTED with random weights."""
        inner = int(np.prod(self.tensors[x].shape))
        row = self.node("RESHAPE", [x, self.constant(f"{y}/shape", [1, inner])], f"{y}/row", (1, inner))
        weights = self.constant(f"{y}/w", self._rng.integers(-127, 128, (outer, inner)), "int8", scale=0.01)
        bias = self.constant(f"{y}/b", self._rng.integers(-500, 500, outer), "int32", scale=0.01 * SCALE)
        chosen = options("FullyConnectedOptions", fused_activation_function=0, keep_num_dims=False)
        return self.node("FULLY_CONNECTED", [row, weights, bias], y, (1, outer), chosen)

    def build(self, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
        """The file."""
        return build(list(self.tensors.values()), self.operators, inputs, outputs)

    def _window_size(self, x: str, span: int, padding: int, stride: int) -> tuple[int, int]:
        """Height and width of a window's outputs."""
        _, height, width, _ = self.tensors[x].shape
        lost = span - 1 if padding == VALID else 0
        return -(-(height - lost) // stride), -(-(width - lost) // stride)

    def _weights(self, y: str, shape: tuple[int, ...], axis: int) -> list[str]:
        outer = shape[axis]
        if self.dtype == "float32":
            weights = self.constant(f"{y}/w", self._rng.normal(size=shape), "float32")
            return [weights, self.constant(f"{y}/b", self._rng.normal(size=outer), "float32")]
        scales = np.linspace(0.01, 0.02, outer)
        weights = self.constant(f"{y}/w", self._rng.integers(-127, 128, shape), "int8", scale=scales, axis=axis)
        bias = self._rng.integers(-500, 500, outer)
        return [weights, self.constant(f"{y}/b", bias, "int32", scale=scales * SCALE)]


def conv_chain(*channels: int) -> Network:
    """int8 convolutions t0 -> t1 -> ... over 8x8 maps of ``channels``."""
    network = Network()
    network.map("t0", (1, 8, 8, channels[0]))
    for index, outer in enumerate(channels[1:]):
        network.conv(f"t{index}", f"t{index + 1}", outer)
    return network


def one_conv(*changes: TensorDef, operator: OperatorDef | None = None, **model: Any) -> bytes:
    """A network of one int8 convolution x -> y with weights y/w and bias y/b.

    Args:
        changes: tensors that replace those of the same name or are added.
        operator: in place of the convolution.
        model: arguments of :func:`build` in place of inputs ["x"] and outputs ["y"].
    """
    network = _one_conv()
    tensors = {**network.tensors, **{tensor.name: tensor for tensor in changes}}
    arguments = {"inputs": ["x"], "outputs": ["y"], **model}
    return build(list(tensors.values()), [operator] if operator else network.operators, **arguments)


def conv_tensor(name: str, **changes: Any) -> TensorDef:
    """A tensor of :func:`one_conv` with some fields changed."""
    return replace(_one_conv().tensors[name], **changes)


def conv_operator(**changes: Any) -> OperatorDef:
    """The operator of :func:`one_conv` with some fields changed."""
    return replace(_one_conv().operators[0], **changes)


def _one_conv() -> Network:
    network = Network()
    network.map("x", (1, 8, 8, 3))
    network.conv("x", "y", 4)
    return network
