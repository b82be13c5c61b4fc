"""Second-order rounding on quantized inputs: each layer makes up for what the layers before it have lost.

Layer by layer, in the order of execution: what a weighted node reads in the quantized network so far (x̂) is set beside
what it reads in the float network (x). First its real weights and bias are fitted anew, by least squares, so that w'·x̂
is near w·x; then they are rounded by the moments of x̂. Pictures that took no part judge: a node keeps its new
constants where its output comes nearer to the float network's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.plans import Calibration, InputMoments, PrecisionPlan
from quantmcu_kit.ops.spec import OpSpec
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.quantize.adjust import Adjustments, NodeAdjustment
from quantmcu_kit.quantize.apply import Settings, apply, bias_tensor, quantize_constants, real_constants, weights_tensor
from quantmcu_kit.quantize.equalize import Equalized
from quantmcu_kit.quantize.weights import Grid

Progress = Callable[[str, int, int], None]
_PIXELS = 96  # output pixels sampled per picture and layer
_MOST_COLUMNS = 2048  # of a layer that is fitted; a covariance of this size has 32 MB
_HELD_OUT = 4  # one picture in this many judges
_DAMPING = 0.01  # of the mean variance

Maps = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class _Pair:
    """Columns [groups, samples, k] that a layer reads at the same places in the float network and in the quantized."""

    real: np.ndarray
    quantized: np.ndarray

    def moments(self) -> InputMoments:
        """Of the quantized ones."""
        mean, covariance = _covariance(self.quantized, self.quantized)
        return InputMoments(mean, covariance, self.quantized.shape[1])

    def refit(self, rows: np.ndarray) -> np.ndarray:
        """Rows [groups, outputs, k] that make of quantized columns what ``rows`` make of real ones, means aside.

        w' = w + w·(C(x, x̂) - C(x̂, x̂))·(C(x̂, x̂) + λ)⁻¹, with the more λ, the fewer samples there are.
        """
        samples, k = self.quantized.shape[1:]
        _, own = _covariance(self.quantized, self.quantized)
        _, cross = _covariance(self.real, self.quantized)
        variance = np.trace(own, axis1=1, axis2=2) / k
        ridge = np.maximum(variance * max(_DAMPING, k / samples), 1e-12)
        regular = own + np.eye(k) * ridge[:, None, None]
        moved = np.linalg.solve(regular, np.swapaxes(cross - own, 1, 2))  # (C + λ)⁻¹ (x̂xᵀ - x̂x̂ᵀ), k by k
        return rows + rows @ np.swapaxes(moved, 1, 2)


def _covariance(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of ``b``, and the covariance of ``a`` with ``b``."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b = a.mean(axis=1), b.mean(axis=1)
    product = np.matmul(a.transpose(0, 2, 1), b) / a.shape[1]
    return mean_b, product - mean_a[:, :, None] * mean_b[:, None, :]


def feed_back(
    graph: Graph,
    calibration: Calibration,
    precision: PrecisionPlan,
    settings: Settings,
    inputs: np.ndarray,
    progress: Progress = lambda stage, done, total: None,
    *,
    equalized: Equalized | None = None,
) -> Adjustments:
    """Constants of the weighted nodes that come nearer to the float network than those that :func:`apply` chooses.

    Args:
        graph: float, with one input.
        inputs: int8 [n, ...], calibration pictures as the integer graph takes them.
        equalized: the network that is quantized in the place of ``graph``.
    """
    equalized = equalized or Equalized(graph, calibration)
    start = apply(equalized.graph, equalized.calibration, precision, settings)
    walk = _Walk(graph, equalized, start, settings, inputs)
    for index, node in enumerate(graph.nodes):
        progress("feedback", index, len(graph.nodes))
        walk.step(node, start.nodes[index])
    progress("feedback", len(graph.nodes), len(graph.nodes))
    return Adjustments(walk.found)


class _Walk:
    """Both networks, node by node, on all pictures; maps are dropped after their last reader."""

    def __init__(
        self, graph: Graph, equalized: Equalized, start: Graph, settings: Settings, inputs: np.ndarray
    ) -> None:
        self._graph, self._equalized, self._start, self._settings = graph, equalized, start, settings
        source = graph.inputs[0].tensor
        self._real: Maps = {source: start.tensors[source].quant.dequantize(inputs)}
        self._quantized: Maps = {source: inputs}
        self._readers = {name: node.name for node in graph.nodes for name in graph.activation_inputs(node)}
        self._generator = np.random.default_rng(0)
        positions = np.arange(len(inputs))
        self._judges = positions % _HELD_OUT == _HELD_OUT - 1 if len(inputs) >= _HELD_OUT else positions >= 0
        self._fitted_on = ~self._judges if not self._judges.all() else self._judges
        self.found: dict[str, NodeAdjustment] = {}

    def step(self, node: Node, quantized_node: Node) -> None:
        """Run a node in both networks; decide on its constants first, if it has weights."""
        spec = TABLE[node.op]
        values = [None if t is None else t.data for t in self._graph.input_tensors(node)]
        values = [self._real.get(name, value) for name, value in zip(node.inputs, values, strict=True)]
        self._real[node.output] = spec.float_ref(node.attrs, *values)
        base = self._run(quantized_node, self._start.tensors)
        chosen = base if spec.linear is None else self._decide(node, quantized_node, spec, base)
        self._quantized[node.output] = chosen
        for name in {name for name, reader in self._readers.items() if reader == node.name}:
            del self._real[name], self._quantized[name]

    def _decide(self, node: Node, quantized_node: Node, spec: OpSpec, base: np.ndarray) -> np.ndarray:
        """The better of two outputs; where it is that of new constants, they are noted."""
        x = self._start.tensors[quantized_node.inputs[0]]
        old = self._start.tensors[quantized_node.inputs[1]]
        real, bias = real_constants(self._equalized.graph, node)
        pair = self._columns(node, spec, real, x)
        if pair.quantized.shape[2] > _MOST_COLUMNS:
            return base
        groups = len(pair.real)
        rows = spec.linear.rows(real.astype(float), groups)
        fitted = pair.refit(rows)
        moments = pair.moments()
        shift = np.einsum("grk,gk->gr", rows, pair.real.mean(axis=1)) - np.einsum("grk,gk->gr", fitted, moments.mean)
        weights = spec.linear.weights(fitted, real.shape).astype(np.float32)
        new = quantize_constants(
            spec, weights, bias + shift.reshape(-1), float(x.quant.s), Grid(old.dtype), moments, self._settings
        )
        tensors = (
            weights_tensor(quantized_node, new, Grid(old.dtype)),
            bias_tensor(quantized_node, new, float(x.quant.s)),
        )
        changed = self._run(quantized_node, {**self._start.tensors, **{tensor.name: tensor for tensor in tensors}})
        if self._error(node.output, changed) >= self._error(node.output, base):
            return base
        self.found[node.name] = new
        return changed

    def _columns(self, node: Node, spec: OpSpec, weights: np.ndarray, x: Tensor) -> _Pair:
        """At the same random places of the pictures that are fitted on."""
        picked: dict[int, np.ndarray] = {}

        def pick(count: int) -> np.ndarray:
            if count not in picked:
                few = count <= _PIXELS
                picked[count] = np.arange(count) if few else self._generator.choice(count, _PIXELS, replace=False)
            return picked[count]

        name = node.inputs[0]
        maps = (self._wanted(name)[self._fitted_on], x.quant.dequantize(self._quantized[name][self._fitted_on]))
        return _Pair(*(spec.linear.columns(node.attrs, each, weights, pick) for each in maps))

    def _run(self, node: Node, tensors: Mapping[str, Tensor]) -> np.ndarray:
        spec, inputs = TABLE[node.op], [None if name is None else tensors[name] for name in node.inputs]
        parameters = spec.prepare(node.attrs, inputs, tensors[node.output])
        values = [None if tensor is None else self._quantized.get(tensor.name, tensor.data) for tensor in inputs]
        return spec.int_ref(parameters, *values)

    def _error(self, name: str, values: np.ndarray) -> float:
        real = self._start.tensors[name].quant.dequantize(values[self._judges])
        return float(np.square(real - self._wanted(name)[self._judges]).mean())

    def _wanted(self, name: str) -> np.ndarray:
        """What a map of the quantized network should be."""
        real, factors = self._real[name], self._equalized.factors.get(name)
        return real if factors is None else real * factors
