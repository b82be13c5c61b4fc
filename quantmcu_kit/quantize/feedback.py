"""Second-order rounding on quantized inputs: each layer makes up for what the layers before it have lost.

Layer by layer, in the order of execution: what a weighted node reads in the quantized network so far (x̂) is set beside
what it reads in the float network (x). First its real weights and bias are fitted anew, by least squares, so that w'·x̂
is near w·x; then they are rounded by the moments of x̂. Pictures that took no part judge: a node keeps its new
constants where its output comes nearer to the float network's.

Where patches of a stage have classes, these share the weights: a layer of the stage is fitted to what all classes read,
each at the pixels that its patches compute, and judged there. Layers behind the stage read what patches of mixed
classes have put together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.plans import WHOLE, Calibration, InputMoments, PrecisionPlan
from quantmcu_kit.ops.spec import OpSpec
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.quantize.adjust import Adjustments, NodeAdjustment
from quantmcu_kit.quantize.apply import Settings, bias_tensor, quantize_constants, real_constants, weights_tensor
from quantmcu_kit.quantize.equalize import Equalized
from quantmcu_kit.quantize.patch_classes import PatchClasses, Places, quantized
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
    classes: PatchClasses | None = None,
) -> Adjustments:
    """Constants of the weighted nodes that come nearer to the float network than those that :func:`apply` chooses.

    Args:
        graph: float, with one input.
        inputs: int8 [n, ...], calibration pictures as the integer graph takes them.
        equalized: the network that is quantized in the place of ``graph``.
        classes: those that the plan lists widths of.
    """
    equalized = equalized or Equalized(graph, calibration)
    start = quantized(equalized.graph, equalized.calibration, precision, settings, classes)
    walk = _Walk(graph, equalized, start, settings, inputs, classes)
    for index in range(len(graph.nodes)):
        progress("feedback", index, len(graph.nodes))
        walk.step(index)
    progress("feedback", len(graph.nodes), len(graph.nodes))
    return Adjustments(walk.found)


class _Walk:
    """Both networks, node by node, on all pictures; maps are dropped after their last reader.

    A map of the quantized network has values by branch class within the stage of the classes, before the map that is
    cut; those of ``WHOLE`` everywhere else. Where patches keep rows, a class is taken to compute all of a map itself;
    the map that is cut is exact.
    """

    def __init__(
        self,
        graph: Graph,
        equalized: Equalized,
        start: Mapping[str, Graph],
        settings: Settings,
        inputs: np.ndarray,
        classes: PatchClasses | None,
    ) -> None:
        self._graph, self._equalized, self._settings = graph, equalized, settings
        self._start, self._inputs, self._classes = start, inputs, classes
        self._tensors = {name: dict(each.tensors) for name, each in start.items()}
        self._common = classes.branches(start).names[0] if classes else WHOLE
        self._in_stage = range(classes.start, classes.end(graph)) if classes else range(0)
        self._places: Places | None = None
        source = graph.inputs[0].tensor
        self._real: Maps = {source: self._tensor(source).quant.dequantize(inputs)}
        self._quantized: dict[str, Maps] = {source: {WHOLE: inputs}}
        self._readers = {name: node.name for node in graph.nodes for name in graph.activation_inputs(node)}
        self._generator = np.random.default_rng(0)
        positions = np.arange(len(inputs))
        self._judges = positions % _HELD_OUT == _HELD_OUT - 1 if len(inputs) >= _HELD_OUT else positions >= 0
        self._fitted_on = ~self._judges if not self._judges.all() else self._judges
        self.found: dict[str, NodeAdjustment] = {}

    def step(self, index: int) -> None:
        """Run a node in both networks; decide on its constants first, if it has weights."""
        node, quantized_node = self._graph.nodes[index], self._start[self._common].nodes[index]
        spec = TABLE[node.op]
        values = [None if t is None else t.data for t in self._graph.input_tensors(node)]
        values = [self._real.get(name, value) for name, value in zip(node.inputs, values, strict=True)]
        self._real[node.output] = spec.float_ref(node.attrs, *values)
        if self._classes and index == self._in_stage.start:
            self._places = self._classes.places(self._graphs(), self._inputs)
        names = tuple(self._start) if index in self._in_stage else (WHOLE,)
        chosen = {name: self._run(quantized_node, name, self._tensors_of(name)) for name in names}
        if spec.linear is not None:
            chosen = self._decide(node, quantized_node, spec, chosen)
        if index == self._in_stage.stop - 1:
            chosen = {WHOLE: self._classes.cut_maps(self._graphs(), self._inputs)}
        self._quantized[node.output] = chosen
        for name in {name for name, reader in self._readers.items() if reader == node.name}:
            del self._real[name], self._quantized[name]

    def _decide(self, node: Node, quantized_node: Node, spec: OpSpec, base: Maps) -> Maps:
        """The better of two outputs; where it is that of new constants, they are noted."""
        real, bias = real_constants(self._equalized.graph, node)
        pair = self._columns(node, spec, real, tuple(base))
        if pair.quantized.shape[2] > _MOST_COLUMNS or not pair.quantized.shape[1]:
            return base
        groups = len(pair.real)
        rows = spec.linear.rows(real.astype(float), groups)
        fitted = pair.refit(rows)
        moments = pair.moments()
        shift = np.einsum("grk,gk->gr", rows, pair.real.mean(axis=1)) - np.einsum("grk,gk->gr", fitted, moments.mean)
        weights = spec.linear.weights(fitted, real.shape).astype(np.float32)
        scales = {name: float(each[node.inputs[0]].quant.s) for name, each in self._tensors.items()}
        grid = Grid(self._tensor(quantized_node.inputs[1]).dtype)
        new = quantize_constants(
            spec, weights, bias + shift.reshape(-1), min(scales.values()), grid, moments, self._settings
        )
        constants = {
            name: (weights_tensor(quantized_node, new, grid), bias_tensor(quantized_node, new, scale))
            for name, scale in scales.items()
        }
        tensors = {
            name: {**self._tensors[name], **{tensor.name: tensor for tensor in each}}
            for name, each in constants.items()
        }
        changed = {name: self._run(quantized_node, name, tensors[self._class_of(name)]) for name in base}
        if self._error(node.output, changed) >= self._error(node.output, base):
            return base
        self.found[node.name], self._tensors = new, tensors
        return changed

    def _columns(self, node: Node, spec: OpSpec, weights: np.ndarray, names: tuple[str, ...]) -> _Pair:
        """At the same random places of the pictures that are fitted on: those where each class computes."""
        picked: dict[int, np.ndarray] = {}

        def pick(count: int) -> np.ndarray:
            if count not in picked:
                few = count <= _PIXELS
                picked[count] = np.arange(count) if few else self._generator.choice(count, _PIXELS, replace=False)
            return picked[count]

        x, pairs = node.inputs[0], []
        for name in names:
            quant = self._tensors_of(name)[x].quant
            maps = (self._wanted(x)[self._fitted_on], quant.dequantize(self._values(x, name)[self._fitted_on]))
            pair = [spec.linear.columns(node.attrs, each, weights, pick) for each in maps]
            where = self._where(node.output, name)
            if where is not None:
                ((count, places),) = picked.items()
                is_own = where[self._fitted_on].reshape(-1, count)[:, places].reshape(-1)
                pair = [columns[:, is_own] for columns in pair]
            pairs.append(pair)
        return _Pair(*(np.concatenate(columns, axis=1) for columns in zip(*pairs, strict=True)))

    def _run(self, node: Node, name: str, tensors: Mapping[str, Tensor]) -> np.ndarray:
        """A node's output in a class."""
        spec, inputs = TABLE[node.op], [None if each is None else tensors[each] for each in node.inputs]
        parameters = spec.prepare(node.attrs, inputs, tensors[node.output])
        values = [
            tensor if tensor is None else self._values(tensor.name, name) if tensor.data is None else tensor.data
            for tensor in inputs
        ]
        return spec.int_ref(parameters, *values)

    def _error(self, output: str, found: Maps) -> float:
        """Mean square of the pixels that judge, of all classes together."""
        total, count = 0.0, 0
        for name, values in found.items():
            real = self._tensors_of(name)[output].quant.dequantize(values[self._judges])
            squares, where = np.square(real - self._wanted(output)[self._judges]), self._where(output, name)
            squares = squares if where is None else squares[where[self._judges]]
            total, count = total + float(squares.sum(dtype=np.float64)), count + squares.size
        return total / max(1, count)

    def _wanted(self, name: str) -> np.ndarray:
        """What a map of the quantized network should be."""
        real, factors = self._real[name], self._equalized.factors.get(name)
        return real if factors is None else real * factors

    def _values(self, tensor: str, name: str) -> np.ndarray:
        """A map of the quantized network as a class has it."""
        found = self._quantized[tensor]
        return found[name] if name in found else found[WHOLE]

    def _where(self, output: str, name: str) -> np.ndarray | None:
        """bool [n, h, w]: the pixels of a map that a class computes; None for all."""
        if name == WHOLE:
            return None
        return self._places.of(name, output, self._tensor(output).shape)

    def _class_of(self, name: str) -> str:
        """The class whose network ``name`` stands for: outside of the stage they are alike."""
        return self._common if name == WHOLE else name

    def _tensors_of(self, name: str) -> Mapping[str, Tensor]:
        return self._tensors[self._class_of(name)]

    def _tensor(self, name: str) -> Tensor:
        """As all classes have it."""
        return self._tensors[self._common][name]

    def _graphs(self) -> dict[str, Graph]:
        """The quantized network of each class as it is by now."""
        return {name: each.replace(tensors=self._tensors[name]) for name, each in self._start.items()}
