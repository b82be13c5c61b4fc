"""Cross-layer equalization: channels of a narrow map are scaled so that each uses all of its few levels.

A map behind a ReLU or ReLU6 that only weighted layers read may have each channel scaled by a factor: the layer that
writes it multiplies its weights and bias, those that read it divide theirs (Nagel et al. 2019). What is written, and
what a depthwise layer reads, has a scale per channel anyway, so that it costs nothing there; other readers share a
scale among channels: before them it is the factor's square root, and no factor where their weights are narrow too.

Factors are never below 1, and a channel's range at its few levels grows to the widest channel's, no further. So a ReLU6
needs no clamp per channel: the kernel's one clamp, at 6 of the scaled map, cuts a channel where its own range ends or
above, and the float network without factors remains what everything is compared with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.plans import Calibration, InputMoments, PrecisionPlan, TensorStats
from quantmcu_kit.ir.types import Activation
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.quantize.ranges import choose_range
from quantmcu_kit.quantize.widths import map_bits

_PIXELS = 64  # sampled per picture and map
_BATCH = 8  # pictures whose maps exist together
_CHANNEL_BINS, _BINS = 128, 2048
_MOST = 16.0  # a channel that hardly ever speaks is noise
_RIGID = 0.5  # exponent where a reader's channels share a scale
_POSITIVE = (Activation.RELU, Activation.RELU6)


@dataclass(frozen=True, eq=False)
class Equalized:
    """A network with scaled channels.

    Attributes:
        graph: float; behind a ReLU6 it may differ from the original, see the module.
        calibration: of ``graph``.
        factors: float32 [channels] by map that is scaled: ``graph``'s values by the original's.
    """

    graph: Graph
    calibration: Calibration
    factors: Mapping[str, np.ndarray] = field(default_factory=dict)


def equalize(
    graph: Graph,
    calibration: Calibration,
    precision: PrecisionPlan,
    range_method: str,
    real: np.ndarray,
    fixed: Collection[str] = (),
) -> Equalized:
    """Scale the channels of maps below 8 bits, where they can be.

    Args:
        real: float32 [n, ...], inputs of the network.
        fixed: maps that are left alone.
    """
    bits = map_bits(graph, precision)
    wanted = [
        node
        for node in graph.nodes
        if bits[node.output] < 8
        and node.output not in fixed
        and _can_scale(graph, node)
        and not _is_costly(graph, node, precision)
    ]
    if not wanted:
        return Equalized(graph, calibration)
    samples = _samples(graph, [node.output for node in wanted], real)
    result = Equalized(graph, calibration)
    for node in wanted:
        values, peaks = samples[node.output]
        ranges = [
            choose_range(_stats(channel, peak, _CHANNEL_BINS), range_method, bits[node.output])[1]
            for channel, peak in zip(values.T, peaks, strict=True)
        ]
        factors = _factors(np.minimum(ranges, peaks), 1.0 if _is_free(graph, node) else _RIGID)
        bound = node.attrs.activation.bounds[1]  # of the scaled map too: the kernel's clamp stays where it is
        clamped = np.minimum(values * factors, bound).reshape(-1)
        scaled = _stats(clamped, min(float((peaks * factors).max()), bound), _BINS)
        result = _scaled(result, node, factors.astype(np.float32), scaled)
    return result


def _factors(ranges: np.ndarray, exponent: float) -> np.ndarray:
    widest = ranges.max()
    found = np.clip(widest / np.maximum(ranges, widest / _MOST), 1.0, _MOST) if widest > 0 else np.ones(len(ranges))
    return found**exponent


def _can_scale(graph: Graph, node: Node) -> bool:
    """Whether weighted layers alone write and read a map of values that are not negative."""
    if TABLE[node.op].linear is None or node.attrs.activation not in _POSITIVE or graph.is_output(node.output):
        return False
    readers = graph.consumers(node.output)
    constants = [name for each in (node, *readers) for name in each.inputs[1:] if name is not None]
    are_own = all(graph.tensors[name].is_constant and len(graph.consumers(name)) == 1 for name in constants)
    return bool(readers) and are_own and all(_reads_channels(graph, reader, node.output) for reader in readers)


def _reads_channels(graph: Graph, reader: Node, name: str) -> bool:
    """Whether a weighted layer reads a map as pixels of its channels."""
    if TABLE[reader.op].linear is None or reader.inputs[0] != name:
        return False
    return reader.op != "FULLY_CONNECTED" or graph.tensors[reader.inputs[1]].shape[1] == graph.tensors[name].shape[-1]


def _is_free(graph: Graph, node: Node) -> bool:
    return all(reader.op == "DEPTHWISE_CONV_2D" for reader in graph.consumers(node.output))


def _is_costly(graph: Graph, node: Node, precision: PrecisionPlan) -> bool:
    """Whether a reader's few levels would be shared among weights that differ even more."""
    readers = [reader for reader in graph.consumers(node.output) if reader.op != "DEPTHWISE_CONV_2D"]
    return any(precision.weights.get(reader.inputs[1], precision.default) < 8 for reader in readers)


def _samples(graph: Graph, names: list[str], real: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By map: values [samples, channels] at random pixels, and the largest of each channel over all pixels."""
    interpreter = Interpreter(graph, integer=False, keep_all=True)
    generator = np.random.default_rng(0)
    values: dict[str, list[np.ndarray]] = {name: [] for name in names}
    peaks: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for at in range(0, len(real), _BATCH):
        maps = interpreter.run({graph.inputs[0].tensor: real[at : at + _BATCH]})
        for name in names:
            pixels = maps[name].reshape(-1, maps[name].shape[-1])
            count = min(len(pixels), _PIXELS * len(maps[name]))
            values[name].append(pixels[generator.choice(len(pixels), count, replace=False)])
            peaks[name].append(pixels.max(axis=0))
    return {name: (np.concatenate(values[name]), np.max(peaks[name], axis=0)) for name in names}


def _stats(values: np.ndarray, peak: float, bins: int) -> TensorStats:
    high = max(float(peak), 1e-6)
    counts, _ = np.histogram(values, bins, (0.0, high))
    return TensorStats(0.0, float(peak), counts.astype(np.int64), 0.0, high)


def _scaled(before: Equalized, node: Node, factors: np.ndarray, stats: TensorStats) -> Equalized:
    """With the output of one more node scaled."""
    graph, moments = before.graph, dict(before.calibration.moments)
    tensors = dict(graph.tensors)
    for tensor, new in _constants(graph, node, factors):
        tensors[tensor.name] = dataclasses.replace(tensor, data=new.astype(np.float32))
    for reader in graph.consumers(node.output):
        if reader.name in moments:
            moments[reader.name] = _scaled_moments(moments[reader.name], factors)
    calibration = dataclasses.replace(
        before.calibration, tensors={**before.calibration.tensors, node.output: stats}, moments=moments
    )
    return Equalized(graph.replace(tensors=tensors), calibration, {**before.factors, node.output: factors})


def _constants(graph: Graph, node: Node, factors: np.ndarray) -> Iterator[tuple[Tensor, np.ndarray]]:
    """Constants around the output of a node, and what becomes of them."""
    weights, *rest = (graph.tensors[name] for name in node.inputs[1:] if name is not None)
    axis = TABLE[node.op].weight_axis
    shape = [-1 if index == axis else 1 for index in range(len(weights.shape))]
    yield weights, weights.data * factors.reshape(shape)
    for bias in rest:
        yield bias, bias.data * factors.reshape(bias.shape)
    for reader in graph.consumers(node.output):
        read = graph.tensors[reader.inputs[1]]
        repeats = read.shape[-1] // len(factors)  # of a depthwise layer: outputs per channel
        yield read, read.data / np.repeat(factors, repeats)


def _scaled_moments(moments: InputMoments, factors: np.ndarray) -> InputMoments:
    """Of columns whose channels are scaled: channel by channel in groups, else pixel by pixel."""
    groups, k = moments.mean.shape
    by_column = factors[:, None] if groups == len(factors) and groups > 1 else np.tile(factors, k // len(factors))[None]
    covariance = moments.covariance
    if covariance is not None:
        covariance = covariance * by_column[:, :, None] * by_column[:, None, :]
    return InputMoments(moments.mean * by_column, covariance, moments.samples)
