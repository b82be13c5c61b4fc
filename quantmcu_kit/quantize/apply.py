"""Float graph x calibration x precision -> integer graph, or one per branch class."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.check import check
from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.plans import WHOLE, Calibration, InputMoments, PrecisionPlan, TensorStats
from quantmcu_kit.ir.types import DType, Quant
from quantmcu_kit.ops.spec import OpSpec
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.quantize.adjust import NONE, Adjustments, NodeAdjustment
from quantmcu_kit.quantize.classes import Classes, Key, class_dtypes, class_quants
from quantmcu_kit.quantize.descent import fit_rows
from quantmcu_kit.quantize.ranges import quant_of_range
from quantmcu_kit.quantize.rounding import round_rows
from quantmcu_kit.quantize.weights import (
    Grid,
    least_error_scale,
    least_scale,
    quantize_bias,
    round_to_nearest,
    weight_scale,
)
from quantmcu_kit.quantize.widths import check_plan


@dataclass(frozen=True)
class Settings:
    """How to quantize.

    Attributes:
        range_method: see :func:`ranges.choose_range`.
        rounding: ``nearest``, or ``second-order`` (:mod:`rounding`).
        bias_correction: let the bias take back the mean shift of rounded weights.
        feedback: with second-order rounding, fit layers to what the quantized network reads (:mod:`feedback`). That
            takes pictures: :func:`apply` alone does not do it.
        equalization: scale the channels of narrow maps (:mod:`equalize`); as ``feedback``.
    """

    range_method: str = "mse"
    rounding: str = "second-order"
    bias_correction: bool = True
    feedback: bool = True
    equalization: bool = True


def apply(
    graph: Graph,
    calibration: Calibration,
    precision: PrecisionPlan,
    settings: Settings,
    adjustments: Adjustments = NONE,
) -> Graph:
    """The integer graph, its maps and weights as wide as the plan says; an integer graph comes back as it is.

    Args:
        adjustments: constants and ranges that are not to be chosen here.

    Raises:
        QmkitError: ``unsupported-precision``: the plan does not fit the graph (:func:`widths.check_plan`).
    """
    return apply_classes(
        graph, calibration, precision, settings, inner=frozenset(), class_stats={}, adjustments=adjustments
    )[WHOLE]


def apply_classes(
    graph: Graph,
    calibration: Calibration,
    precision: PrecisionPlan,
    settings: Settings,
    *,
    inner: frozenset[str],
    class_stats: Mapping[Key, TensorStats],
    adjustments: Adjustments = NONE,
) -> dict[str, Graph]:
    """The integer graph of each branch class that the plan lists for inner maps; of ``WHOLE`` where it lists none.

    The graphs share their weights. They differ in the inner maps, and in the biases of nodes that read those.

    Args:
        inner: maps that may differ from class to class (``ir.branches.inner_maps``).
        class_stats: by (branch class, inner map), what patches of the class hold; elsewhere the calibration counts.
        adjustments: as for :func:`apply`; those of maps are for maps outside of ``inner``.

    Raises:
        QmkitError: as :func:`apply`.
    """
    classes = Classes.of(precision, inner)
    maps = [tensor.name for tensor in graph.feature_maps() if tensor.dtype.is_float]
    if not maps:
        return dict.fromkeys(classes.names, graph)
    check_plan(graph, precision, inner)
    dtypes = class_dtypes(graph, precision, classes)
    keys = {classes.key(branch_class, name) for branch_class in classes.names for name in maps}
    stats = {key: class_stats[key] if key in class_stats else calibration.tensors[key[1]] for key in keys}
    quants = class_quants(graph, stats, dtypes, classes, settings.range_method, adjustments.maps)
    new_maps = {
        branch_class: {
            name: dataclasses.replace(graph.tensors[name], dtype=dtypes[branch_class][name], quant=quant)
            for name, quant in quants[branch_class].items()
        }
        for branch_class in classes.names
    }
    return _with_constants(graph, new_maps, calibration, precision, settings, adjustments)


def _with_constants(
    graph: Graph,
    maps: Mapping[str, Mapping[str, Tensor]],
    calibration: Calibration,
    precision: PrecisionPlan,
    settings: Settings,
    adjustments: Adjustments,
) -> dict[str, Graph]:
    """The graph of each class from its quantized maps: constants are quantized too, under names of their node's own."""
    tensors = {branch_class: {**graph.tensors, **found} for branch_class, found in maps.items()}
    nodes = []
    for node in graph.nodes:
        if TABLE[node.op].weight_axis is None:
            constants = _constants(graph, node)
            added = {branch_class: [tensor for tensor in constants if tensor] for branch_class in maps}
            new_inputs = [new.name if new else old for new, old in zip(constants, node.inputs, strict=True)]
        else:
            scales = {branch_class: float(found[node.inputs[0]].quant.s) for branch_class, found in maps.items()}
            grid = Grid(DType.weights(precision.weights.get(node.inputs[1], precision.default)))
            found = adjustments.nodes.get(node.name) or quantize_constants(
                TABLE[node.op],
                *real_constants(graph, node),
                min(scales.values()),
                grid,
                calibration.moments.get(node.name),
                settings,
            )
            weights = weights_tensor(node, found, grid)
            biases = {scale: bias_tensor(node, found, scale) for scale in scales.values()}
            added = {branch_class: [weights, biases[scale]] for branch_class, scale in scales.items()}
            new_inputs = [node.inputs[0], weights.name, f"{node.name}/bias"]
        for branch_class, found in added.items():
            tensors[branch_class] |= {tensor.name: tensor for tensor in found}
        nodes.append(dataclasses.replace(node, inputs=tuple(new_inputs)))
    return {branch_class: check(graph.replace(nodes=nodes, tensors=found)) for branch_class, found in tensors.items()}


def real_constants(graph: Graph, node: Node) -> tuple[np.ndarray, np.ndarray]:
    """A node's float32 weights and float64 bias [channels], zeros where it has none."""
    weights_name, *rest = node.inputs[1:]
    real = graph.tensors[weights_name].data.astype(np.float32)
    if not rest or rest[0] is None:
        return real, np.zeros(real.shape[TABLE[node.op].weight_axis])
    return real, graph.tensors[rest[0]].data.reshape(-1).astype(float)


def quantize_constants(
    spec: OpSpec,
    real: np.ndarray,
    bias: np.ndarray,
    in_scale: float,
    grid: Grid,
    moments: InputMoments | None,
    settings: Settings,
) -> NodeAdjustment:
    """Weights as integers, and the real bias with the rounding's mean shift taken back.

    Args:
        real, bias: from :func:`real_constants`.
        in_scale: the least that the input has in any class: with it, the bias needs most bits.
        moments: of the node's inputs; rounding is to nearest without them.
    """
    values, quant = _integers(spec, real, least_scale(bias, in_scale), grid, moments, settings)
    if settings.bias_correction and moments is not None:
        groups = len(moments.mean)
        error = spec.linear.rows(quant.dequantize(values).astype(float) - real, groups)
        bias = bias - np.einsum("grk,gk->gr", error, moments.mean).reshape(-1)
    return NodeAdjustment(values, quant.scale, bias)


def weights_tensor(node: Node, found: NodeAdjustment, grid: Grid) -> Tensor:
    """A node's weights."""
    assert found.weights.min() >= grid.low and found.weights.max() <= grid.high, "weights have the plan's width"
    quant = Quant(found.scale, np.zeros(len(found.scale), np.int32), TABLE[node.op].weight_axis)
    return Tensor(f"{node.name}/weights", found.weights.shape, grid.dtype, quant, found.weights)


def bias_tensor(node: Node, found: NodeAdjustment, in_scale: float) -> Tensor:
    """A node's bias for an input of a scale."""
    weights = Quant(found.scale, np.zeros(len(found.scale), np.int32), TABLE[node.op].weight_axis)
    values, quant = quantize_bias(found.bias, in_scale, weights)
    return Tensor(f"{node.name}/bias", values.shape, DType.I32, quant, values)


def _clipped(real: np.ndarray, scale: np.ndarray, spec: OpSpec, moments: InputMoments | None, grid: Grid) -> np.ndarray:
    """Scales per channel for so few levels that clipping the largest weights pays."""
    if moments is None or moments.covariance is None:
        rows = np.moveaxis(real, spec.weight_axis, 0).reshape(1, len(scale), -1)
        importance = np.ones((1, rows.shape[2]))
    else:
        rows = spec.linear.rows(real, len(moments.mean))
        importance = np.diagonal(moments.covariance, axis1=1, axis2=2)
    cover = scale.astype(float).reshape(rows.shape[:2])
    return least_error_scale(rows.astype(float), cover, importance, grid).reshape(-1)


def _integers(
    spec: OpSpec,
    real: np.ndarray,
    least: np.ndarray,
    grid: Grid,
    moments: InputMoments | None,
    settings: Settings,
) -> tuple[np.ndarray, Quant]:
    """Weights of the grid, as int8, and their scales, which are not below ``least``."""
    scale = weight_scale(real, spec.weight_axis, least, grid)
    if grid.dtype.is_packed:
        scale = np.maximum(_clipped(real, scale, spec, moments, grid), least).astype(np.float32)

    def quant(scale: np.ndarray) -> Quant:
        return Quant(scale, np.zeros(len(scale), np.int32), spec.weight_axis)

    if settings.rounding == "nearest" or moments is None or moments.covariance is None:
        return round_to_nearest(real, quant(scale), grid), quant(scale)
    groups = len(moments.mean)
    rows, scales = spec.linear.rows(real, groups), scale.astype(float).reshape(groups, -1)
    if grid.dtype.is_packed:
        integers, scales = fit_rows(rows, scales, least.reshape(scales.shape), moments, grid)
        scale = scales.reshape(-1).astype(np.float32)
    else:
        integers = round_rows(rows, scales, moments, grid)
    return spec.linear.weights(integers, real.shape).astype(np.int8), quant(scale)


def _constants(graph: Graph, node: Node) -> list[Tensor | None]:
    """Float constants that a node computes with (an operand of ADD, say), quantized over their own range; None in the
    place of all other inputs."""
    found: list[Tensor | None] = []
    for position, tensor in enumerate(graph.input_tensors(node)):
        if tensor is None or not tensor.is_constant or not tensor.dtype.is_float:
            found.append(None)
            continue
        quant = quant_of_range(min(float(tensor.data.min()), 0.0), max(float(tensor.data.max()), 0.0))
        values = quant.quantize(tensor.data, -128, 127).astype(np.int8)
        found.append(Tensor(f"{node.name}/constant{position}", tensor.shape, DType.I8, quant, values))
    return found
