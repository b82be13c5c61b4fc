"""The mix of 8, 4 and 2 bits for a board: its budgets in, widths and how they run out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from quantmcu_kit import accuracy, emit, passes, precision, quantize, search
from quantmcu_kit.boards.catalog import Board
from quantmcu_kit.calibrate import Progress
from quantmcu_kit.emit.footprint import estimate_footprint
from quantmcu_kit.emit.latency import estimate_latency
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.branches import Branches, may_have_classes, settled
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import Calibration, PrecisionPlan
from quantmcu_kit.ir.schedule import HaloMode, Schedule, Stage
from quantmcu_kit.layout import Layout, arena_limit, laid_out_again, lay_out, nominal_graph
from quantmcu_kit.node_cycles import cycle_model
from quantmcu_kit.ops.interpret import scratch_bytes
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.options import Options
from quantmcu_kit.precision import Mix
from quantmcu_kit.search.problem import CostFunction
from quantmcu_kit.user_cache import user_cache

_PACKED_CODE = 4096  # bytes of flash that packing adds to kernels and layers, at least
_ROOM = 32_768  # bytes of flash beside those counted in which every kernel there is has room
_OTHER_TABLES = 1024  # bytes of flash that a library has beside its network: tables for pixels
_TIGHTER_SEARCHES = 3  # tried where kernels of the widths that were found take more flash or time than was foreseen
# What a second class of patches adds at most: bias, multiplier and shift per channel; struct and map per node.
_CLASS_CHANNEL, _CLASS_NODE = 9, 160


@dataclass(frozen=True, eq=False)
class Frame:
    """What a search has to keep to, known before anything is calibrated.

    Attributes:
        options: with what follows from classes of patches.
        layout: of the network at 8 bits.
        fixed_flash_bytes: code and constants other than weights.
        fixed_bytes: scratch by node.
        cycles: the cycle model, where cycles matter, once ranges are known.
    """

    options: Options
    layout: Layout
    settings: precision.Settings
    budgets: search.Budgets
    fixed_flash_bytes: int
    fixed_bytes: Mapping[str, int]
    cycles: CostFunction | None = None


def frame_of(graph: Graph, board: Board, options: Options) -> Frame:
    """Plan a float network at 8 bits, and what its widths have to meet.

    Raises:
        QmkitError: ``infeasible-budget``: no widths fit; ``bad-patches``: classes of patches were asked for, and
            nothing runs in patches; ``bad-option``.
    """
    options = _with_halos(options)
    nominal = nominal_graph(graph)
    layout = lay_out(nominal, board, options, must_fit=False)
    if options.vdpc in ("static", "dynamic") and not any(map(_may_have_classes, layout.schedule.stages)):
        raise _nothing_to_classify(options, layout.schedule)
    settings = _settings(options)
    frame = Frame(
        options,
        layout,
        settings,
        _budgets(graph, layout, board, options),
        _flash_beside_weights(layout, board) + _flash_of_classes(nominal, layout, options),
        {node.name: scratch_bytes(layout.graph, node) for node in layout.graph.nodes},
    )
    try:
        _check(graph, frame)
    except QmkitError:
        if not options.force:
            raise
        return dataclasses.replace(frame, budgets=_without_board(frame.budgets, options))
    return frame


def quantize_settings(options: Options) -> quantize.Settings:
    """How to quantize."""
    return quantize.Settings(options.range, options.rounding)


def _check(graph: Graph, frame: Frame) -> None:
    precision.check_budgets(
        graph,
        frame.layout.schedule,
        frame.settings,
        frame.budgets,
        fixed_flash_bytes=frame.fixed_flash_bytes,
        fixed_bytes=frame.fixed_bytes,
    )


def _without_board(budgets: search.Budgets, options: Options) -> search.Budgets:
    """What the user says: a library that does not fit the board is wanted all the same."""
    return dataclasses.replace(budgets, ram_bytes=options.ram, flash_bytes=options.flash)


def find_mix(
    graph: Graph,
    int8: Graph,
    calibration: Calibration,
    inputs: np.ndarray,
    board: Board,
    frame: Frame,
    progress: Progress,
    *,
    sensitivity: precision.Sensitivity | None = None,
    refined_on: np.ndarray | None = None,
) -> tuple[Mix, Layout]:
    """Search for widths within a frame.

    Args:
        graph: float.
        int8: the same with 8 bits everywhere.
        inputs: int8 [n, ...], calibration pictures as ``int8`` takes them.
        sensitivity: of the same network and pictures, where it exists: it remembers what it measured.
        refined_on: int8 [n, ...], more pictures, that constants are fitted to when the widths are known.

    Raises:
        QmkitError: ``infeasible-budget``, ``ram-budget``: no widths fit.
    """
    options = frame.options
    frame = _priced(graph, int8, calibration, board, frame)
    if sensitivity is None:
        sensitivity = precision.sensitivity_of(
            graph, int8, calibration, inputs, frame.settings, quantize_settings(options)
        )
    mix = _searched(graph, int8, calibration, inputs, frame, sensitivity, progress)
    for _ in range(_TIGHTER_SEARCHES):
        tighter = _tightened(mix, board, frame)
        if tighter is None:
            break
        frame = tighter
        try:
            mix = _searched(graph, int8, calibration, inputs, frame, sensitivity, progress)
        except QmkitError as error:
            if error.code != "infeasible-budget":
                raise
            break  # the limits themselves are checked on what is built
    if refined_on is not None:
        mix = _with_fitted_constants(graph, calibration, mix, refined_on, options, progress)
    if mix.branches is None:
        mix = dataclasses.replace(mix, graph=passes.remove_dead_channels(mix.graph))
        return planned_again(graph, mix, board, options)
    integer, branches = settled(_without_dead_channels(mix.branches, frame.layout.schedule))
    mix = dataclasses.replace(mix, graph=integer, branches=branches)
    return mix, laid_out_again(frame.layout, integer, branches, board, options)


def _searched(
    graph: Graph,
    int8: Graph,
    calibration: Calibration,
    inputs: np.ndarray,
    frame: Frame,
    sensitivity: precision.Sensitivity,
    progress: Progress,
) -> Mix:
    return precision.find_precision(
        graph,
        int8,
        calibration,
        frame.layout.schedule,
        inputs,
        frame.settings,
        quantize_settings(frame.options),
        budgets=frame.budgets,
        cycles=frame.cycles,
        fixed_flash_bytes=frame.fixed_flash_bytes,
        fixed_bytes=frame.fixed_bytes,
        sensitivity=sensitivity,
        progress=progress,
    )


def _priced(graph: Graph, int8: Graph, calibration: Calibration, board: Board, frame: Frame) -> Frame:
    """The frame with the cycles that nodes take and may take, now that ranges are known, and channels that go."""
    options = frame.options
    if options.cost != "cycles" and options.latency is None:
        return frame
    cycles = cycle_model(graph, int8, calibration, board, options)
    budgets = frame.budgets
    if options.latency is not None:
        layout = lay_out(passes.remove_dead_channels(int8), board, options, must_fit=False)
        modelled = precision.count_cost(graph, layout.schedule, PrecisionPlan(), cycles)
        beside = _estimated_cycles(layout, board) - modelled  # what patches and the network take around whole nodes
        units = {**budgets.units, "cycles": dataclasses.replace(budgets.units["cycles"], beside=beside)}
        within = options.latency * _millisecond(board) - beside
        budgets = dataclasses.replace(budgets, cycles=within, units=units)
    return dataclasses.replace(frame, cycles=cycles, budgets=budgets)


def _tightened(mix: Mix, board: Board, frame: Frame) -> Frame | None:
    """The frame, its budgets less what the library of a mix exceeds them by; None where it keeps to them."""
    latency, flash = frame.options.latency, frame.budgets.flash_bytes
    may_be_large = flash is not None and mix.result.flash_bytes + _ROOM > flash
    if latency is None and not may_be_large:
        return None
    if mix.branches is None:
        layout = lay_out(passes.remove_dead_channels(mix.graph), board, frame.options, must_fit=False)
    else:
        layout = laid_out_again(frame.layout, mix.graph, mix.branches, board, frame.options)
    excess_bytes = max(0, _flash_of(layout, board) + _OTHER_TABLES - flash) if may_be_large else 0
    excess_cycles = 0.0 if latency is None else _estimated_cycles(layout, board) - latency * _millisecond(board)
    if excess_bytes <= 0 and excess_cycles <= 0:
        return None
    budgets = frame.budgets
    if excess_cycles > 0:
        budgets = dataclasses.replace(budgets, cycles=budgets.cycles - excess_cycles)
    return dataclasses.replace(frame, budgets=budgets, fixed_flash_bytes=frame.fixed_flash_bytes + excess_bytes)


def _with_fitted_constants(
    graph: Graph, calibration: Calibration, mix: Mix, inputs: np.ndarray, options: Options, progress: Progress
) -> Mix:
    classes = classes_of(mix)
    fitted = refined(graph, calibration, mix.result.precision, inputs, options, progress, classes)
    if classes is None:
        return dataclasses.replace(mix, graph=fitted.applied())
    branches = fitted.branches()
    return dataclasses.replace(mix, graph=branches.common, branches=branches)


def classes_of(mix: Mix) -> quantize.PatchClasses | None:
    """What a quantization has to know of a mix's classes of patches, where it has any."""
    found = mix.branches
    return None if found is None else quantize.PatchClasses(mix.schedule, found.stage, found.rule, mix.class_stats)


def refined(
    graph: Graph,
    calibration: Calibration,
    plan: PrecisionPlan,
    inputs: np.ndarray,
    options: Options,
    progress: Progress,
    classes: quantize.PatchClasses | None = None,
) -> accuracy.Fitted:
    """A float network in widths that are known, its constants fitted to calibration pictures, and trained if asked for.

    Args:
        inputs: int8 [n, ...].
        classes: of patches, those that the plan lists widths of.
    """
    effort = None
    if options.effort:
        effort = accuracy.Settings(seconds=options.effort, cache=user_cache("blocks"))
    settings = quantize_settings(options)
    return accuracy.refine(graph, calibration, plan, settings, inputs, effort, progress, classes)


def _without_dead_channels(branches: Branches, schedule: Schedule) -> Branches:
    """The same channels in all classes; what a scan reads stays whole."""
    scanned = frozenset({schedule.stages[branches.stage].patches.input})
    return dataclasses.replace(branches, graphs=passes.remove_alike(branches.graphs, scanned))


def planned_again(graph: Graph, mix: Mix, board: Board, options: Options) -> tuple[Mix, Layout]:
    """Narrower maps may need fewer patches, or none."""
    layout = lay_out(mix.graph, board, options)
    bitops, int8 = precision.count_bitops(graph, layout.schedule, mix.result.precision)
    result = dataclasses.replace(mix.result, bitops=bitops, bitops_int8=int8)
    return dataclasses.replace(mix, schedule=layout.schedule, result=result), layout


def _with_halos(options: Options) -> Options:
    """Patches that have classes recompute their halos, each in its own class, unless rows are to be kept."""
    if options.vdpc not in ("static", "dynamic"):
        return options
    halo = HaloMode(options.halo or HaloMode.RECOMPUTE.value)
    if halo.keeps_columns:
        raise QmkitError(
            "bad-option",
            f"--vdpc {options.vdpc} is not possible with --halo {halo.value}",
            why="columns that one patch keeps for another stay in the tile, which would have two widths",
            hint="--halo recompute or reuse-rows, or --vdpc off",
        )
    return dataclasses.replace(options, halo=halo.value)


def _may_have_classes(stage: Stage) -> bool:
    return stage.patches is not None and may_have_classes(stage.patches)


def _nothing_to_classify(options: Options, schedule: Schedule) -> QmkitError:
    if schedule.is_patched:
        return QmkitError(
            "bad-patches",
            f"--vdpc {options.vdpc} needs several patches in a row",
            why="with one, the rows that are kept stay in the tile, which would have two widths",
            hint="--patches 4x4, --halo recompute, or --vdpc off",
        )
    return QmkitError(
        "bad-patches",
        f"--vdpc {options.vdpc} has no patches to classify",
        why="the network fits the board layer by layer, or cannot be cut into patches",
        hint="--patches 4x4, or --vdpc off",
    )


def _settings(options: Options) -> precision.Settings:
    search.find(options.search)  # it exists, and has what it needs
    map_widths, weight_widths = options.candidate_widths
    return precision.Settings(
        search=options.search,
        proxy=options.proxy,
        vdpc=options.vdpc,
        vdpc_rule=options.vdpc_rule,
        phi=options.phi,
        trade_off=options.trade_off,
        map_widths=map_widths,
        weight_widths=weight_widths,
        by_cycles=options.cost == "cycles",
        state=user_cache("searches"),
    )


def _budgets(graph: Graph, layout: Layout, board: Board, options: Options) -> search.Budgets:
    """What the user says; else what the board leaves. Maps may go to external RAM, where there is some."""
    _, bitops = precision.count_bitops(graph, layout.schedule, PrecisionPlan())
    if options.latency is not None:
        _estimated_cycles(layout, board)  # says early that there is no cycle model
    units = {
        "bitops": search.Unit(bitops, "of the BitOPs at 8 bits"),
        "cycles": search.Unit(_millisecond(board), "milliseconds"),
    }
    return search.Budgets(
        ram_bytes=options.ram if board.psram_bytes else arena_limit(board, options),
        flash_bytes=board.free_flash_bytes if options.flash is None else options.flash,
        bitops=None if options.bitops is None else options.bitops * bitops,
        cycles=None if options.latency is None else options.latency * _millisecond(board),
        units=units,
    )


def _millisecond(board: Board) -> float:
    """In cycles."""
    return board.clock_mhz * 1000


def _estimated_cycles(layout: Layout, board: Board) -> float:
    latency = estimate_latency(layout.graph, board, layout.schedule, layout.memory)
    if latency is None:
        raise QmkitError(
            "no-cycle-model",
            f"--latency is not possible for {board.id}",
            why=f"there is no cycle model of its processor, {board.cpu}",
            hint="--bitops, and no --latency",
        )
    return latency.cycles


def _flash_of(layout: Layout, board: Board) -> int:
    """Code and constants of a network's library."""
    files = emit.render(
        layout.graph,
        layout.memory,
        name="network",
        board=board.id,
        schedule=layout.schedule,
        branches=layout.branches,
    )
    return estimate_footprint(manifests.from_json(files[manifests.PATH])).flash_bytes


def _flash_beside_weights(layout: Layout, board: Board) -> int:
    """Code and constants other than weights: of the library at 8 bits, and what packing adds at least."""
    int8 = layout.graph
    weights = {node.inputs[1] for node in int8.nodes if TABLE[node.op].weight_axis is not None}
    return _flash_of(layout, board) - sum(int8.tensors[name].bytes for name in weights) + _PACKED_CODE


def _flash_of_classes(int8: Graph, layout: Layout, options: Options) -> int:
    """Most bytes that classes of patches take: of the longest stage in patches."""
    if options.vdpc == "off":
        return 0
    stages = [int8.nodes[stage.start : stage.end] for stage in layout.schedule.stages if stage.patches]
    channels = (sum(int8.tensors[node.output].shape[-1] for node in nodes) for nodes in stages)
    pairs = zip(channels, stages, strict=True)
    return max((_CLASS_CHANNEL * count + _CLASS_NODE * len(nodes) for count, nodes in pairs), default=0)
