"""Measured loss: how far the network's output moves on calibration pictures when one tensor gets fewer levels.

The base is the network at 8 bits in the exact integer reference. A feature map at b bits is its values passed through a
table: int8, the nearest of the levels that b bits would have, and back. Weights at b bits are those that quantization
at b bits makes. Only what lies downstream is computed again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from quantmcu_kit import quantize
from quantmcu_kit.ir.branches import inner_maps
from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.plans import WHOLE, Calibration, PrecisionPlan, TensorStats
from quantmcu_kit.ir.schedule import Patches
from quantmcu_kit.ir.types import DType, Quant
from quantmcu_kit.ops.interpret import prepare_node
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.precision.output import Yardstick
from quantmcu_kit.precision.owners import Owners
from quantmcu_kit.quantize.ranges import choose_range, quant_of_range
from quantmcu_kit.search.problem import INT8, Choice, Key, Kind

BATCH = 8  # pictures whose feature maps are computed together
PICTURES = 32
FEW_PICTURES = 8  # enough below 4 bits, where the damage is an order of magnitude larger
_THREADS = min(4, os.cpu_count() or 1)
_LEAST_VARIANCE = 1e-30  # of outputs that never vary

Values = Mapping[str, np.ndarray]
ClassStats = Mapping[Key, TensorStats]


@dataclass(frozen=True, eq=False)
class _Step:
    """A node, what computes it, and its constant inputs."""

    node: Node
    evaluate: Callable[..., np.ndarray]
    constants: Values

    @staticmethod
    def of(graph: Graph, node: Node) -> _Step:
        parameters, int_ref = prepare_node(graph, node), TABLE[node.op].int_ref
        pairs = zip(node.inputs, graph.input_tensors(node), strict=True)
        constants = {name: tensor.data for name, tensor in pairs if tensor is not None and tensor.is_constant}
        return _Step(node, lambda *inputs: int_ref(parameters, *inputs), constants)

    def run(self, maps: Values) -> np.ndarray:
        """The node's output."""
        known = {None: None, **self.constants}
        return self.evaluate(*(known[name] if name in known else maps[name] for name in self.node.inputs))


@dataclass(frozen=True, eq=False)
class _Batch:
    """Some of the pictures: every map of the base run, and what its output is compared with."""

    pictures: slice
    maps: Values
    reference: np.ndarray


@dataclass(frozen=True, eq=False)
class _Change:
    """What differs from the base: (table by the bits of an int8 value, branch class) of maps; steps by node."""

    tables: Mapping[str, tuple[tuple[np.ndarray, str], ...]]
    steps: Mapping[str, _Step]


class Sensitivity:
    """Measures losses; an instance is what the search takes (``search.kl.Measure``).

    Args:
        graph: float.
        inputs: int8 [n, ...], the integer graph's input on calibration pictures.
        weight_widths: that may be asked for.
        base: the integer graph at 8 bits, where it exists already.
    """

    def __init__(
        self,
        graph: Graph,
        calibration: Calibration,
        settings: quantize.Settings,
        inputs: np.ndarray,
        *,
        weight_widths: Sequence[int] = (),
        base: Graph | None = None,
    ) -> None:
        self._graph, self._calibration, self._settings = graph, calibration, settings
        self.base = base or quantize.apply(graph, calibration, PrecisionPlan(), settings)
        self._yardstick = Yardstick.of(graph)
        self._steps = [_Step.of(self.base, node) for node in self.base.nodes]
        self._dying = _dying(self.base, keep=set(self._yardstick.tensors))
        self._narrow = {bits: self._narrow_steps(bits) for bits in weight_widths if bits < INT8}
        slices = [slice(at, min(at + BATCH, len(inputs))) for at in range(0, len(inputs), BATCH)]
        with ThreadPoolExecutor(_THREADS) as pool:
            self._batches = list(pool.map(lambda each: self._base_run(each, inputs[each]), slices))
        self._owners: Owners | None = None
        self._class_stats: ClassStats = {}
        self._known: dict[tuple[object, ...], float] = {}
        self._ranges: dict[tuple[int, int], tuple[TensorStats, tuple[float, float]]] = {}
        self._unit = self._unit_of_loss()

    @property
    def batches(self) -> Iterator[tuple[slice, Values]]:
        """Pictures, and every map of the base run."""
        return ((batch.pictures, batch.maps) for batch in self._batches)

    @property
    def pictures(self) -> int:
        """How many there are."""
        return self._batches[-1].pictures.stop

    def inner_in_order(self, patches: Patches) -> list[str]:
        """Inner maps of a stage in the order of computation."""
        inner = inner_maps(patches)
        return [tensor.name for tensor in self.base.feature_maps() if tensor.name in inner]

    def base_map(self, name: str) -> np.ndarray:
        """int8 [n, ...]: one map of the base run."""
        return np.concatenate([batch.maps[name] for batch in self._batches])

    def set_classes(self, owners: Owners | None, stats: ClassStats) -> None:
        """From now on, a choice of a branch class is about the pixels that it owns, its range that of its statistics.

        Args:
            stats: by (branch class, map); those of the calibration where there are none.
        """
        self._owners, self._class_stats = owners, stats

    def __call__(self, choice: Choice, bits: int) -> float:
        """Mean divergence when this choice alone is narrower; measured once."""
        owners = None if choice.branch_class == WHOLE else self._owners.classes.tobytes()
        key = (choice.kind, choice.branch_class, choice.tensors, bits, owners)
        if key not in self._known:
            count = PICTURES if bits >= 4 else FEW_PICTURES
            self._known[key] = float(self.divergences({choice: bits}, count).mean())
        return self._known[key]

    def divergences(self, widths: Mapping[Choice, int], pictures: int | None = None) -> np.ndarray:
        """float64 [n]: per picture, how far the output moves when some choices are narrower together.

        Args:
            pictures: how many, in whole batches; all by default.
        """
        change = self._change(widths)
        count = len(self._batches) if pictures is None else -(-pictures // BATCH)
        with ThreadPoolExecutor(_THREADS) as pool:
            found = list(pool.map(lambda batch: self._moved(batch, change), self._batches[:count]))
        return np.concatenate(found) / self._unit

    def _unit_of_loss(self) -> float:
        if self._yardstick.is_class_vector:
            return 1.0  # nat
        outputs = np.concatenate([batch.reference for batch in self._batches])
        over_pictures = float(outputs.var(axis=0).mean())
        return max(over_pictures or float(outputs.var()), _LEAST_VARIANCE)  # of one picture, over its outputs

    def _narrow_steps(self, bits: int) -> dict[str, _Step]:
        """Every weighted node with narrow weights, by name. They are quantized one by one, whatever the others."""
        weighted = [node for node in self._graph.nodes if TABLE[node.op].weight_axis is not None]
        plan = PrecisionPlan(weights=dict.fromkeys((node.inputs[1] for node in weighted), bits))
        narrow = quantize.apply(self._graph, self._calibration, plan, self._settings)
        names = {node.name for node in weighted}
        return {node.name: _Step.of(narrow, node) for node in narrow.nodes if node.name in names}

    def _base_run(self, pictures: slice, inputs: np.ndarray) -> _Batch:
        maps = {self.base.inputs[0].tensor: inputs}
        for step in self._steps:
            maps[step.node.output] = step.run(maps)
        return _Batch(pictures, maps, self._yardstick.read(self.base, maps))

    def _change(self, widths: Mapping[Choice, int]) -> _Change:
        tables: dict[str, tuple[tuple[np.ndarray, str], ...]] = {}
        steps: dict[str, _Step] = {}
        for choice, bits in widths.items():
            if bits == INT8:
                continue
            if choice.kind is Kind.WEIGHTS:
                readers = [node.name for node in self._graph.nodes if choice.name in node.inputs[1:2]]
                steps |= {name: self._narrow[bits][name] for name in readers}
                continue
            narrow = self._narrow_quant(choice, bits)
            for name in choice.tensors:
                table = level_table(self.base.tensors[name], narrow, DType.feature_map(bits))
                tables[name] = (*tables.get(name, ()), (table, choice.branch_class))
        return _Change(tables, steps)

    def _narrow_quant(self, choice: Choice, bits: int) -> Quant:
        """The quantization that the maps of a choice get together."""
        known = self._calibration.tensors
        stats = [self._class_stats.get((choice.branch_class, name), known[name]) for name in choice.tensors]
        ranges = [self._range(each, bits) for each in stats]
        return quant_of_range(min(low for low, _ in ranges), max(high for _, high in ranges), DType.feature_map(bits))

    def _range(self, stats: TensorStats, bits: int) -> tuple[float, float]:
        """The range at some bits, chosen once; statistics are remembered with it, so that their id stays theirs."""
        key = (id(stats), bits)
        if key not in self._ranges:
            self._ranges[key] = (stats, choose_range(stats, self._settings.range_method, bits))
        return self._ranges[key][1]

    def _moved(self, batch: _Batch, change: _Change) -> np.ndarray:
        """How far the output of a batch moves."""
        moved: dict[str, np.ndarray] = {}

        def narrowed(name: str, values: np.ndarray) -> np.ndarray:
            result = values
            for table, branch_class in change.tables.get(name, ()):
                levels = table[values.view(np.uint8)]
                if branch_class != WHOLE:
                    shape = self.base.tensors[name].shape
                    levels = np.where(self._owners.pixels(branch_class, shape, batch.pictures), levels, result)
                result = levels
            return result

        for port in self.base.inputs:
            if port.tensor in change.tables:
                moved[port.tensor] = narrowed(port.tensor, batch.maps[port.tensor])
        for step in self._steps:
            name, inputs = step.node.output, self.base.activation_inputs(step.node)
            other = change.steps.get(step.node.name)
            if other is not None or any(each in moved for each in inputs):
                maps = {each: moved.get(each, batch.maps[each]) for each in inputs}
                moved[name] = narrowed(name, (other or step).run(maps))
            elif name in change.tables:
                moved[name] = narrowed(name, batch.maps[name])
            for each in self._dying.get(step.node.name, ()):
                moved.pop(each, None)
        outputs = {name: moved.get(name, batch.maps[name]) for name in self._yardstick.tensors}
        return self._yardstick.distance(batch.reference, self._yardstick.read(self.base, outputs))


def _dying(graph: Graph, keep: set[str]) -> dict[str, list[str]]:
    """By node, the maps that it reads last."""
    readers = {name: node.name for node in graph.nodes for name in graph.activation_inputs(node)}
    dying: dict[str, list[str]] = {}
    for name, reader in readers.items():
        if name not in keep:
            dying.setdefault(reader, []).append(name)
    return dying


def level_table(tensor: Tensor, narrow: Quant, dtype: DType) -> np.ndarray:
    """int8 [256] by the bits of an int8 value of ``tensor``: the value nearest to its level of ``narrow``."""
    values = np.arange(256, dtype=np.uint8).view(np.int8)
    levels = narrow.dequantize(narrow.quantize(tensor.quant.dequantize(values), dtype.low, dtype.high))
    return tensor.quant.quantize(levels, DType.I8.low, DType.I8.high).astype(np.int8)
