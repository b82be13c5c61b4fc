"""Float graph x calibration x precision -> integer graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.check import check
from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.plans import Calibration, InputMoments, PrecisionPlan
from quantmcu_kit.ir.types import DType, Quant
from quantmcu_kit.ops.linear import LinearForm
from quantmcu_kit.ops.spec import OpSpec, OutputQuant
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.quantize.ranges import choose_range, quant_of_range
from quantmcu_kit.quantize.rounding import round_rows
from quantmcu_kit.quantize.ties import tie_groups
from quantmcu_kit.quantize.weights import (
    Grid,
    least_error_scale,
    least_scale,
    quantize_bias,
    round_to_nearest,
    weight_scale,
)
from quantmcu_kit.quantize.widths import check_plan, map_bits


@dataclass(frozen=True)
class Settings:
    """How to quantize.

    Attributes:
        range_method: see :func:`ranges.choose_range`.
        rounding: ``nearest``, or ``second-order`` (:mod:`rounding`).
        bias_correction: let the bias take back the mean shift of rounded weights.
    """

    range_method: str = "mse"
    rounding: str = "second-order"
    bias_correction: bool = True


def apply(graph: Graph, calibration: Calibration, precision: PrecisionPlan, settings: Settings) -> Graph:
    """The integer graph, its maps and weights as wide as the plan says; an integer graph comes back as it is.

    Raises:
        QmkitError: ``unsupported-precision``: the plan does not fit the graph (:func:`widths.check_plan`).
    """
    if all(not tensor.dtype.is_float for tensor in graph.feature_maps()):
        return graph
    check_plan(graph, precision)
    dtypes = {name: DType.feature_map(bits) for name, bits in map_bits(graph, precision).items()}
    quants = _map_quants(graph, calibration, dtypes, settings)
    tensors = {
        name: dataclasses.replace(tensor, dtype=dtypes[name], quant=quants[name]) if name in quants else tensor
        for name, tensor in graph.tensors.items()
    }
    nodes = []
    for node in graph.nodes:
        if TABLE[node.op].weight_axis is None:
            new_inputs = _constants(graph, node, tensors)
        else:
            grid = Grid(DType.weights(precision.weights.get(node.inputs[1], precision.default)))
            new_inputs = _weights(graph, node, quants, grid, calibration, settings, tensors)
        nodes.append(dataclasses.replace(node, inputs=new_inputs))
    return check(graph.replace(nodes=nodes, tensors=tensors))


def _unit(dtype: DType) -> Quant:
    """Probabilities, as TFLite fixes them for SOFTMAX and LOGISTIC."""
    return Quant.per_tensor(1 / (1 << dtype.bits), dtype.low)


def _map_quants(
    graph: Graph, calibration: Calibration, dtypes: Mapping[str, DType], settings: Settings
) -> dict[str, Quant]:
    """Quantization of each float feature map."""
    fixed = {node.output for node in graph.nodes if TABLE[node.op].output_quant is OutputQuant.UNIT}
    quants: dict[str, Quant] = {}
    for group in tie_groups(graph, {name: dtype.bits for name, dtype in dtypes.items()}):
        members = [name for name in group if graph.tensors[name].dtype.is_float]
        dtype = dtypes[group[0]]
        if fixed & set(members):
            quants.update(dict.fromkeys(members, _unit(dtype)))
            continue
        ranges = [choose_range(calibration.tensors[name], settings.range_method, dtype.bits) for name in members]
        low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
        quants.update(dict.fromkeys(members, quant_of_range(low, high, dtype)))
    return quants


def _weights(
    graph: Graph,
    node: Node,
    quants: Mapping[str, Quant],
    grid: Grid,
    calibration: Calibration,
    settings: Settings,
    tensors: dict[str, Tensor],
) -> tuple[str | None, ...]:
    """Quantize a weighted node's constants into ``tensors``, under names of the node's own; returns its new inputs."""
    x_name, weights_name, *rest = node.inputs
    spec, moments = TABLE[node.op], calibration.moments.get(node.name)
    real = graph.tensors[weights_name].data.astype(np.float32)
    bias_name = rest[0] if rest else None
    channels = real.shape[spec.weight_axis]
    bias = np.zeros(channels) if bias_name is None else graph.tensors[bias_name].data.reshape(-1).astype(float)
    in_scale = float(quants[x_name].s)
    least = least_scale(bias, in_scale)
    scale = weight_scale(real, spec.weight_axis, least, grid)
    if grid.dtype.is_packed:
        scale = np.maximum(_clipped(real, scale, spec, moments, grid), least).astype(np.float32)
    quant = Quant(scale, np.zeros(channels, np.int32), spec.weight_axis)
    values = _rounded(real, quant, spec.linear, moments, settings, grid)
    if settings.bias_correction and moments is not None:
        groups = len(moments.mean)
        error = spec.linear.rows(quant.dequantize(values).astype(float) - real, groups)
        bias = bias - np.einsum("grk,gk->gr", error, moments.mean).reshape(-1)
    bias_values, bias_quant = quantize_bias(bias, in_scale, quant)
    weights = Tensor(f"{node.name}/weights", real.shape, grid.dtype, quant, values)
    offsets = Tensor(f"{node.name}/bias", bias_values.shape, DType.I32, bias_quant, bias_values)
    tensors |= {weights.name: weights, offsets.name: offsets}
    return (x_name, weights.name, offsets.name)


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


def _rounded(
    real: np.ndarray,
    quant: Quant,
    linear: LinearForm,
    moments: InputMoments | None,
    settings: Settings,
    grid: Grid,
) -> np.ndarray:
    """Weights of the grid, as int8."""
    if settings.rounding == "nearest" or moments is None or moments.covariance is None:
        return round_to_nearest(real, quant, grid)
    groups = len(moments.mean)
    rows = linear.rows(real, groups)
    integers = round_rows(rows, quant.scale.astype(float).reshape(groups, -1), moments, grid)
    return linear.weights(integers, real.shape).astype(np.int8)


def _constants(graph: Graph, node: Node, tensors: dict[str, Tensor]) -> tuple[str | None, ...]:
    """Quantize the float constants that a node computes with (an operand of ADD, say) over their own range."""
    names = []
    for position, name in enumerate(node.inputs):
        tensor = None if name is None else graph.tensors[name]
        if tensor is None or not tensor.is_constant or not tensor.dtype.is_float:
            names.append(name)
            continue
        quant = quant_of_range(min(float(tensor.data.min()), 0.0), max(float(tensor.data.max()), 0.0))
        values = quant.quantize(tensor.data, -128, 127).astype(np.int8)
        new = Tensor(f"{node.name}/constant{position}", tensor.shape, DType.I8, quant, values)
        tensors[new.name] = new
        names.append(new.name)
    return tuple(names)
