"""Cycles of a network's layers by their widths, for searches."""

from __future__ import annotations

from functools import cache

from quantmcu_kit import passes, quantize
from quantmcu_kit.boards.catalog import Board
from quantmcu_kit.emit.choose_kernels import fewest_cycles
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import Calibration, PrecisionPlan
from quantmcu_kit.layout import core_of
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.options import Options
from quantmcu_kit.search.problem import CostFunction, Work

_QUICK = quantize.Settings(rounding="nearest", bias_correction=False)  # integers matter for their cycles alone


def cycle_model(graph: Graph, int8: Graph, calibration: Calibration, board: Board, options: Options) -> CostFunction:
    """Cycles of a node's work by its widths, on the board's core, with the kernel that it would be given.

    Channels that no widths need are left out.
    """
    map_widths, weight_widths = options.candidate_widths
    widths = [(weights, maps) for weights in weight_widths for maps in map_widths]
    plans = {f"{weights}, {maps}": _uniform(graph, weights, maps) for weights, maps in widths}
    graphs = {name: quantize.apply(graph, calibration, plan, _QUICK) for name, plan in plans.items()}
    kept = passes.remove_alike({**graphs, "8 bits": int8})
    by_widths = {each: kept[name] for each, name in zip(widths, plans, strict=True)}
    places = {node.name: index for index, node in enumerate(graph.nodes)}
    whole = {
        node.name: TABLE[node.op].cost(node.attrs, graph.input_tensors(node), graph.tensors[node.output]).macs
        for node in graph.nodes
    }

    @cache
    def of_node(name: str, weights: int, inputs: tuple[int, ...], output: int) -> float:
        node = graph.nodes[places[name]]
        maps = {**dict(zip(graph.activation_inputs(node), inputs, strict=True)), node.output: output}
        uniform = by_widths[weights, (*inputs, output)[0]]  # a bias has the scale of what it is added to
        tensors = {each: by_widths[weights, bits].tensors[each] for each, bits in maps.items()}
        mixed = uniform.replace(tensors={**uniform.tensors, **tensors})
        return fewest_cycles(mixed, places[name], board.cpu, core_of(board))

    def cycles(work: Work, weight_bits: int, input_bits: tuple[int, ...], output_bits: int) -> float:
        share = work.macs / whole[work.name] if whole[work.name] else 1.0
        return share * of_node(work.name, weight_bits, input_bits, output_bits)

    return cycles


def _uniform(graph: Graph, weights: int, maps: int) -> PrecisionPlan:
    """One width for all maps and one for all weights."""
    names = (node.inputs[1] for node in graph.nodes if TABLE[node.op].weight_axis is not None)
    return PrecisionPlan(maps, weights=dict.fromkeys(names, weights))
