"""Quantization of feature maps per branch class: maps inside a patched stage have one per class, all others one.

A *key* (branch class, map) names what is quantized; the class of maps that are not inside the stage is ``WHOLE``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import WHOLE, PrecisionPlan, TensorStats
from quantmcu_kit.ir.types import DType, Quant
from quantmcu_kit.ops.spec import OutputQuant
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.quantize.ranges import choose_range, quant_of_range
from quantmcu_kit.quantize.ties import tie_groups
from quantmcu_kit.quantize.widths import map_bits

Key = tuple[str, str]


@dataclass(frozen=True)
class Classes:
    """Branch classes, and the maps that have a width and a range in each.

    Attributes:
        names: of the classes; ``WHOLE`` alone where there are none.
        inner: maps inside the patched stage.
    """

    names: tuple[str, ...] = (WHOLE,)
    inner: frozenset[str] = frozenset()

    @staticmethod
    def of(precision: PrecisionPlan, inner: frozenset[str]) -> Classes:
        """Those that a plan lists for inner maps, in its order."""
        names = tuple(dict.fromkeys(name for name, tensor in precision.feature_maps if tensor in inner))
        return Classes(names, inner) if names else Classes()

    def key(self, branch_class: str, tensor: str) -> Key:
        """What a map is to patches of a class."""
        return (branch_class if tensor in self.inner else WHOLE, tensor)


def class_dtypes(graph: Graph, precision: PrecisionPlan, classes: Classes) -> dict[str, dict[str, DType]]:
    """Element type of each feature map, by branch class."""
    bits = {name: map_bits(graph, precision, name, classes.inner) for name in classes.names}
    return {name: {tensor: DType.feature_map(of[tensor]) for tensor in of} for name, of in bits.items()}


def class_quants(
    graph: Graph,
    stats: Mapping[Key, TensorStats],
    dtypes: Mapping[str, Mapping[str, DType]],
    classes: Classes,
    range_method: str,
    given: Mapping[str, Quant],
) -> dict[str, dict[str, Quant]]:
    """Quantization of each float feature map, by branch class.

    Maps that any class ties have one quantization, over the ranges of all of them.

    Args:
        stats: of every key.
        given: quantizations that are not to be chosen, by map outside of classes.
    """
    fixed = {node.output for node in graph.nodes if TABLE[node.op].output_quant is OutputQuant.UNIT}
    dtype_of = {classes.key(name, tensor): dtype for name, each in dtypes.items() for tensor, dtype in each.items()}
    quants: dict[Key, Quant] = {}
    for group in _tied_keys(graph, dtypes, classes):
        members = [key for key in group if graph.tensors[key[1]].dtype.is_float]
        dtype = dtype_of[group[0]]
        if fixed & {tensor for _, tensor in members}:
            quants.update(dict.fromkeys(members, _unit(dtype)))
            continue
        known = [given[name] for branch_class, name in members if branch_class == WHOLE and name in given]
        if known:
            quants.update(dict.fromkeys(members, known[0]))
            continue
        ranges = [choose_range(stats[key], range_method, dtype.bits) for key in members]
        low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
        quants.update(dict.fromkeys(members, quant_of_range(low, high, dtype)))
    return {
        name: {
            tensor.name: quants[classes.key(name, tensor.name)]
            for tensor in graph.feature_maps()
            if tensor.dtype.is_float
        }
        for name in classes.names
    }


def _unit(dtype: DType) -> Quant:
    """Probabilities, as TFLite fixes them for SOFTMAX and LOGISTIC."""
    return Quant.per_tensor(1 / (1 << dtype.bits), dtype.low)


def _tied_keys(graph: Graph, dtypes: Mapping[str, Mapping[str, DType]], classes: Classes) -> list[list[Key]]:
    """Keys in groups of equal quantization: the ties of every class, joined where they have a map in common."""
    group_of: dict[Key, list[Key]] = {}
    for name in classes.names:
        bits = {tensor: dtype.bits for tensor, dtype in dtypes[name].items()}
        for tied in tie_groups(graph, bits):
            keys = [classes.key(name, tensor) for tensor in tied]
            parts = [group_of.get(key, [key]) for key in keys]
            group = list(dict.fromkeys(key for part in parts for key in part))
            group_of.update(dict.fromkeys(group, group))
    return list({id(group): group for group in group_of.values()}.values())
