"""The quantized side of a block in torch: integers and scales that can be trained, and back into adjustments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from quantmcu_kit.accuracy.fake import fixed_levels, levels, rounded
from quantmcu_kit.accuracy.forward import evaluate
from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.types import Activation, DType, Quant
from quantmcu_kit.ops.requantize import clamp_range
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.quantize.adjust import Adjustments, NodeAdjustment, adjustment_of
from quantmcu_kit.quantize.weights import Grid, least_scale

_EDGE = 0.49  # a latent weight stays within its integer's half step, and within the grid's ends
_MOST_SHRINK = 4  # of a trained range
_STEPS = 4  # of an output of 8 bits, that a bias moves where it would move one step of a narrow output
_LEAN = 0.45  # how far a latent weight starts from its integer, towards the real weight
_SETTLED = 0.8  # of the way to the real weight, where integers are to stay at first
_MOST_LOG = float(np.log(_MOST_SHRINK))

Maps = dict[str, Tensor]


class Layer:
    """Weights of a node as latent values whose nearest integers are the weights, scales, and a real bias.

    Args:
        real: the float weights; the integers start as those of ``integer``.
        is_settled: integers that are not the nearest were chosen to make up for others, and the first steps must not
            undo that: their latent values start in the middle. A block recovers, and then comes nearer without it; a
            whole network does not.
    """

    def __init__(self, integer: Graph, node: Node, real: np.ndarray, *, is_settled: bool) -> None:
        start = adjustment_of(integer, node)
        tensor = integer.tensors[node.inputs[1]]
        self._axis = TABLE[node.op].weight_axis
        self._shape = [-1 if axis == self._axis else 1 for axis in range(len(tensor.shape))]
        self._grid = Grid(tensor.dtype)
        self._start = start
        x = integer.tensors[node.inputs[0]]
        # The range of a narrow input is trained too: its scale may shrink after this layer's has been fixed, or before.
        self._in_scale = float(x.quant.s) / (_MOST_SHRINK if x.dtype.is_packed else 1)
        q = torch.from_numpy(start.weights.astype(np.float32))
        self._scale = torch.from_numpy(start.scale.astype(np.float32))
        away = torch.from_numpy(real.astype(np.float32)) / self._scale.reshape(self._shape) - q
        lean = torch.where(away.abs() < 0.5, _SETTLED * away, 0.0) if is_settled else away.clamp(-_LEAN, _LEAN)
        self.latent = (q + lean).requires_grad_()
        self.log_scale = torch.zeros(len(self._scale)).requires_grad_()
        self.shift = torch.zeros(len(self._scale)).requires_grad_()  # of the bias, in units of ``_step``
        self._bias = torch.from_numpy(start.bias.astype(np.float32))
        output = integer.tensors[node.output]
        self._step = float(output.quant.s) * (1 if output.dtype.is_packed else _STEPS)

    @property
    def levels(self) -> int:
        """The largest integer."""
        return self._grid.high

    def weights(self) -> Tensor:
        """Real weights of the integers."""
        return rounded(self.latent) * self._scales().reshape(self._shape)

    def bias(self) -> Tensor:
        """Real bias."""
        return self._bias + self.shift * self._step

    def _scales(self) -> Tensor:
        return self._scale * torch.exp(self.log_scale)

    def clamp(self) -> None:
        """Keep latent weights within the grid."""
        with torch.no_grad():
            self.latent.clamp_(self._grid.low - _EDGE, self._grid.high + _EDGE)

    def adjustment(self) -> NodeAdjustment:
        """As an integer graph takes it."""
        with torch.no_grad():
            weights = np.clip(self.latent.round().numpy(), self._grid.low, self._grid.high).astype(np.int8)
            bias = self._start.bias + (self.shift * self._step).numpy().astype(np.float64)
            scale = self._scales().numpy()
        least = least_scale(bias, self._in_scale)
        return NodeAdjustment(weights, np.maximum(scale, least).astype(np.float32), bias)

    @property
    def state(self) -> list[Tensor]:
        """What is trained."""
        return [self.latent, self.log_scale, self.shift]


class Range:
    """The quantization of a feature map, trained where it has few levels."""

    def __init__(self, quant: Quant, dtype: DType, is_trained: bool) -> None:
        self._quant, self._dtype, self.is_trained = quant, dtype, is_trained
        self._scale, self._zero = float(quant.s), float(quant.z)
        self.log_scale = torch.zeros(()).requires_grad_(is_trained)
        self.shift = torch.zeros(()).requires_grad_(is_trained)  # of the zero-point
        # A map that is never negative keeps its zero-point at the end.
        self._moves_zero = is_trained and dtype.low < quant.z < dtype.high

    def quantize(self, x: Tensor, activation: Activation, *, is_exact: bool) -> Tensor:
        """``x`` on the map's levels, clamped as a fused activation says.

        Args:
            is_exact: round maps that are not trained too. Their many levels hardly matter to a block.
        """
        if not self.is_trained:
            low, high = (end - self._zero for end in clamp_range(activation, self._quant, self._dtype))
            if is_exact:
                return fixed_levels(x, self._scale, low, high)
            # One pass over the gradient; clamp takes four.
            return functional.hardtanh(x, self._scale * low, self._scale * high)
        step = self._scale * torch.exp(self._log_scale())
        zero = rounded((self._zero + self.shift).clamp(self._dtype.low, self._dtype.high))
        least, greatest = clamp_range(activation, self.quant(), self._dtype)
        return levels(x, step, zero, least, greatest)

    def _log_scale(self) -> Tensor:
        return self.log_scale.clamp(-_MOST_LOG, _MOST_LOG)

    def quant(self) -> Quant:
        """As an integer graph takes it."""
        with torch.no_grad():
            scale = self._scale * float(torch.exp(self._log_scale()))
            zero = round(float((self._zero + self.shift).clamp(self._dtype.low, self._dtype.high)))
        return Quant.per_tensor(scale, zero) if self.is_trained else self._quant

    @property
    def state(self) -> list[Tensor]:
        """What is trained."""
        return [self.log_scale, *([self.shift] if self._moves_zero else [])] if self.is_trained else []


class QuantizedNodes:
    """Some nodes of an integer graph.

    Args:
        ties: maps of one quantization; a range is trained where all its maps are written by these nodes.
        is_settled: see :class:`Layer`.
    """

    def __init__(
        self,
        graph: Graph,
        integer: Graph,
        nodes: Sequence[Node],
        ties: Iterable[Sequence[str]],
        *,
        is_settled: bool = False,
    ) -> None:
        self._nodes = nodes
        weights = {node.name: graph.tensors[node.inputs[1]].data for node in graph.nodes if _is_weighted(node)}
        self.layers = {
            node.name: Layer(integer, node, weights[node.name], is_settled=is_settled)
            for node in nodes
            if _is_weighted(node)
        }
        self.ranges: dict[str, Range] = {}
        written = {node.output for node in nodes}
        for group in ties:
            tensor = integer.tensors[group[0]]
            if not written & set(group):
                continue
            is_trained = tensor.dtype.is_packed and set(group) <= written
            shared = Range(tensor.quant, tensor.dtype, is_trained)
            self.ranges |= {name: shared for name in group}
        self._constants = {
            name: torch.from_numpy(tensor.quant.dequantize(tensor.data))
            for node in nodes
            for name, tensor in zip(node.inputs, integer.input_tensors(node), strict=True)
            if tensor is not None and tensor.is_constant and tensor.quant is not None
        }

    def run(self, maps: Maps, output: str, *, is_exact: bool) -> Tensor:
        """One map from those before the nodes; real values."""
        return self.run_all(maps, is_exact=is_exact)[output]

    def run_all(self, maps: Maps, *, is_exact: bool) -> Maps:
        """All maps from those before the nodes; real values."""
        values: dict[str | None, Tensor | None] = {None: None, **self._constants, **maps}
        for node in self._nodes:
            if node.name in self.layers:
                layer = self.layers[node.name]
                y = evaluate(node, values[node.inputs[0]], layer.weights(), layer.bias())
            else:
                y = evaluate(node, *(values.get(name) for name in node.inputs))
            activation = getattr(node.attrs, "activation", Activation.NONE)
            values[node.output] = self.ranges[node.output].quantize(y, activation, is_exact=is_exact)
        return values

    @property
    def state(self) -> list[Tensor]:
        """What is trained."""
        return [tensor for each in (*self.layers.values(), *_distinct(self.ranges)) for tensor in each.state]

    def clamp(self) -> None:
        """Keep weights within their grids."""
        for layer in self.layers.values():
            layer.clamp()

    def adjustments(self) -> Adjustments:
        """Of all nodes and of the ranges that are trained."""
        maps = {name: each.quant() for name, each in self.ranges.items() if each.is_trained}
        return Adjustments({name: layer.adjustment() for name, layer in self.layers.items()}, maps)


def _is_weighted(node: Node) -> bool:
    return TABLE[node.op].weight_axis is not None


def _distinct(ranges: Mapping[str, Range]) -> list[Range]:
    return list({id(each): each for each in ranges.values()}.values())
