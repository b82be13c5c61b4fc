"""Which channels of an integer graph's feature maps hold one value, whatever the input, and which value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ops.interpret import prepare_node
from quantmcu_kit.ops.table import TABLE

# Operators whose output channel depends on the same channel of their inputs alone, where they leave the last axis be.
_PER_CHANNEL = frozenset(
    (
        "ADD",
        "AVERAGE_POOL_2D",
        "LOGISTIC",
        "MAX_POOL_2D",
        "MEAN",
        "MUL",
        "PAD",
        "QUANTIZE",
        "RELU",
        "RELU6",
        "RELU_N1_TO_1",
        "RESIZE_NEAREST_NEIGHBOR",
        "SUB",
    )
)
_MOST_VALUES = 1 << 20  # of a map that is computed for its constants: more fit no board's internal RAM
_VIEWS = frozenset(("RESHAPE", "SQUEEZE"))
_CONVOLUTIONS = frozenset(("CONV_2D", "DEPTHWISE_CONV_2D"))


@dataclass(frozen=True, eq=False)
class Constants:
    """What is known of a map's channels.

    Attributes:
        known: bool [channels]: at every pixel the channel holds the same value for every input of the network.
        values: int [channels], the value where it is known.
    """

    known: np.ndarray
    values: np.ndarray

    @staticmethod
    def none(tensor: Tensor) -> Constants:
        """Nothing is known."""
        channels = channels_of(tensor)
        return Constants(np.zeros(channels, bool), np.zeros(channels, np.int64))


@dataclass(frozen=True, eq=False)
class Windows:
    """A weighted node as sums over the taps of a window.

    Attributes:
        taps: int32 [rows, columns, in, out], weights less their zero-point; ``out`` is those of one input channel in a
            depthwise convolution.
        rows, columns: int64 [classes, taps along the axis], 1 where a tap lies in the map and 0 where it lies in the
            padding, which contributes nothing: every combination that an output pixel may have.
        is_depthwise: whether each of several input channels has outputs of its own.
    """

    taps: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    is_depthwise: bool

    def per_class(self, per_tap: np.ndarray) -> np.ndarray:
        """Sums [row classes, column classes, ...] of [rows, columns, ...]."""
        along_columns = np.tensordot(self.columns, per_tap, (1, 1))  # [column classes, rows, ...]
        return np.tensordot(self.rows, along_columns, (1, 1))

    def bounds(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Least and greatest sums [row classes, column classes, outputs] of inputs between ``low`` and ``high``.

        Args:
            low, high: int64 [in], less the input's zero-point.
        """
        positive, negative = np.maximum(self.taps, 0), np.minimum(self.taps, 0)
        least = self._products(positive, low) + self._products(negative, high)
        return self.per_class(least), self.per_class(self._products(positive, high) + self._products(negative, low))

    def _products(self, taps: np.ndarray, x: np.ndarray) -> np.ndarray:
        """int64 [rows, columns, outputs]: what every tap adds."""
        if self.is_depthwise:
            return (taps * x[:, None]).reshape(*taps.shape[:2], -1)
        return np.einsum("yxio,i->yxo", taps, x, dtype=np.int64)


def channels_of(tensor: Tensor) -> int:
    """Size of the last axis."""
    return tensor.shape[-1] if tensor.shape else 1


def is_per_channel(graph: Graph, node: Node) -> bool:
    """Whether output channel c is a function of channel c of the inputs and of nothing else."""
    if node.op not in _PER_CHANNEL:
        return False
    output = graph.tensors[node.output]
    maps = [graph.tensors[name] for name in graph.activation_inputs(node)]
    if not output.shape or any(channels_of(x) != output.shape[-1] for x in maps):
        return False
    last = len(maps[0].shape) - 1
    if node.op == "MEAN":
        return last not in node.attrs.axes
    return node.op != "PAD" or node.attrs.before[last] == node.attrs.after[last] == 0


def joins_channels(graph: Graph, node: Node) -> bool:
    """Whether the output's channels are those of the inputs, one input behind the other."""
    return node.op == "CONCATENATION" and node.attrs.axis == len(graph.tensors[node.output].shape) - 1


def is_view_of_channels(graph: Graph, node: Node) -> bool:
    """Whether the output is the input's values in their order, and one's channels are the other's, repeated."""
    if node.op not in _VIEWS:
        return False
    sizes = sorted(channels_of(graph.tensors[name]) for name in (node.inputs[0], node.output))
    return sizes[0] > 0 and sizes[1] % sizes[0] == 0


def windows_of(graph: Graph, node: Node) -> Windows | None:
    """A weighted node as windows; None for other operators, and where rows of FULLY_CONNECTED cut through pixels."""
    if TABLE[node.op].weight_axis is None:
        return None
    x, weights = graph.input_tensors(node)[:2]
    taps = weights.data.astype(np.int32) - int(weights.quant.zero_point[0])
    if node.op in _CONVOLUTIONS:
        rows, columns = (
            _inside(*along)
            for along in zip(
                x.shape[1:3],
                weights.shape[1:3],
                (node.attrs.stride.h, node.attrs.stride.w),
                (node.attrs.dilation.h, node.attrs.dilation.w),
                (node.attrs.padding.top, node.attrs.padding.left),
                graph.tensors[node.output].shape[1:3],
                strict=True,
            )
        )
        if node.op == "CONV_2D":
            return Windows(taps.transpose(1, 2, 3, 0), rows, columns, False)
        return Windows(taps.reshape(*weights.shape[1:3], x.shape[3], -1), rows, columns, x.shape[3] > 1)
    out, inner = taps.shape
    channels = channels_of(x)
    if inner % channels:
        return None
    pixels = inner // channels
    return Windows(
        taps.reshape(out, pixels, 1, channels).transpose(1, 2, 3, 0),
        np.ones((1, pixels), np.int64),
        np.ones((1, 1), np.int64),
        False,
    )


def _inside(size: int, kernel: int, stride: int, dilation: int, before: int, outputs: int) -> np.ndarray:
    """int64 [classes, kernel]: which taps lie within a map of ``size`` pixels padded with ``before``, each once."""
    at = np.arange(outputs)[:, None] * stride - before + np.arange(kernel) * dilation
    return np.unique((at >= 0) & (at < size), axis=0).astype(np.int64)


def constant_channels(graph: Graph) -> dict[str, Constants]:
    """What is known of each feature map of an integer graph, by its name.

    A weighted layer's channel is known where the least and the greatest accumulator that its inputs allow are
    requantized to one value, at every border; that of other operators by running their integer rule.
    """
    found = {port.tensor: Constants.none(graph.tensors[port.tensor]) for port in graph.inputs}
    for node in graph.nodes:
        found[node.output] = _constants(graph, node, found)
    return found


def _constants(graph: Graph, node: Node, found: Mapping[str, Constants]) -> Constants:
    windows = windows_of(graph, node)
    if windows is not None:
        return _of_weighted(graph, node, windows, found[node.inputs[0]])
    known = _carried(graph, node, found)
    return Constants.none(graph.tensors[node.output]) if known is None else _of_values(graph, node, found, known)


def _of_weighted(graph: Graph, node: Node, windows: Windows, constants: Constants) -> Constants:
    """By the accumulators' bounds: requantization never decreases with the accumulator."""
    x, params = graph.tensors[node.inputs[0]], prepare_node(graph, node)
    low, high = (
        np.where(constants.known, constants.values, end) - params.in_zero for end in (x.dtype.low, x.dtype.high)
    )
    ends = [params.requant.apply(sums).astype(np.int64) for sums in windows.bounds(low, high)]
    least, most = ends[0].min(axis=(0, 1)), ends[1].max(axis=(0, 1))
    return Constants(least == most, least)


def _carried(graph: Graph, node: Node, found: Mapping[str, Constants]) -> np.ndarray | None:
    """bool [channels]: which of an unweighted node's output channels depend on known channels alone; None for none."""
    masks = [
        np.ones(channels_of(tensor), bool) if tensor.is_constant else found[tensor.name].known
        for tensor in graph.input_tensors(node)
        if tensor is not None
    ]
    maps = [found[name].known for name in graph.activation_inputs(node)]
    output = graph.tensors[node.output]
    channels = channels_of(output)
    if not any(mask.any() for mask in maps) or output.elements > _MOST_VALUES:
        return None
    if joins_channels(graph, node):
        return np.concatenate(masks)
    if is_per_channel(graph, node) or node.op == "CONCATENATION":
        return np.logical_and.reduce(maps)
    if is_view_of_channels(graph, node):
        wide = np.tile(maps[0], max(1, channels // len(maps[0])))
        return wide.reshape(-1, channels).all(axis=0)
    return None


def _of_values(graph: Graph, node: Node, found: Mapping[str, Constants], known: np.ndarray) -> Constants:
    """By the integer rule on maps that hold the known values: what is the same at every pixel stays known."""
    inputs = []
    for tensor in graph.input_tensors(node):
        if tensor is None or tensor.is_constant:
            inputs.append(tensor and tensor.data)
        else:
            values = found[tensor.name].values.astype(tensor.dtype.numpy)
            inputs.append(np.ascontiguousarray(np.broadcast_to(values, tensor.shape)))
    output = TABLE[node.op].int_ref(prepare_node(graph, node), *inputs)
    pixels = output.reshape(-1, output.shape[-1])
    return Constants(known & (pixels == pixels[0]).all(axis=0), pixels[0].astype(np.int64))
