"""How an integer graph runs on a board: its patches and its memory, planned for the RAM that there is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from quantmcu_kit import memory, patch, quantize
from quantmcu_kit.boards.catalog import Board
from quantmcu_kit.emit.choose_kernels import choose_branch_kernels, choose_kernels
from quantmcu_kit.emit.footprint import PACKED_STACK_BYTES, STACK_BYTES
from quantmcu_kit.emit.latency import has_cycles, patch_costs
from quantmcu_kit.errors import EXIT_FAILED, QmkitError
from quantmcu_kit.ir.branches import Branches
from quantmcu_kit.ir.graph import Graph, Tensor
from quantmcu_kit.ir.plans import Calibration, MemoryPlan, PrecisionPlan, TensorStats
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.ir.types import Activation
from quantmcu_kit.ops.spec import OutputQuant
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.options import Options

_STAND_IN = "cortex-m4f"  # its cycles tell dear layers from cheap ones for cores that have no cycle model
_NOMINAL = 6.0  # the greatest magnitude in maps whose values nobody has seen
_UNLIKE, _ALIKE = 1 / 64, 16  # no neighbours have the same range: sums of operands of one scale take another way
_REACH = 4.0  # the sum of a channel's products at most, in magnitudes of its output
_TIGHTER_PLANS = 4  # tried where blocks cannot be placed without gaps


@dataclass(frozen=True, eq=False)
class Layout:
    """How an integer graph runs on a board: what there was to choose from, the stages, and their memory.

    Attributes:
        graph: with the kernels that its nodes run by; where patches have classes, the one that stands for all of them.
        branches: these classes.
    """

    graph: Graph
    choice: patch.Choice
    schedule: Schedule
    memory: MemoryPlan
    branches: Branches | None = None

    def fits(self, arena_bytes: int) -> bool:
        """Whether it was planned within a limit, and its memory keeps to it."""
        return self.choice.fits and self.memory.arena_bytes <= arena_bytes


def core_of(board: Board) -> str:
    """The core whose cycles stand for the board's."""
    return board.cpu if has_cycles(board.cpu) else _STAND_IN


def arena_limit(board: Board, options: Options) -> int:
    """Most bytes of the arena: what the user says, else what the board leaves beside the stack."""
    return _beside_stack(board, options) if options.ram is None else options.ram


def spare_ram(board: Board, options: Options, plan: MemoryPlan) -> int:
    """Bytes that the board leaves beside the stack and a plan's arena."""
    return max(0, _beside_stack(board, options) - plan.arena_bytes)


def _beside_stack(board: Board, options: Options) -> int:
    is_packed = options.bits != "8" or options.tuned is not None
    return board.free_ram_bytes - (PACKED_STACK_BYTES if is_packed else STACK_BYTES)


def lay_out(graph: Graph, board: Board, options: Options, *, must_fit: bool = True) -> Layout:
    """Choose an integer graph's kernels, and plan its patches and memory for a board.

    The fastest kernels take scratch. Where they exceed the RAM, portable ones are tried: for the layers that exceed it
    one by one, then for all. Where the least RAM is wanted, whatever it costs, it is planned with portable ones, and
    layers get fast ones as far as these do not add to it.

    Args:
        must_fit: where the user limits the RAM, no plan within it is an error.

    Raises:
        QmkitError: ``ram-budget``, ``cost-limit``, ``bad-patches`` or ``bad-plan``: what is asked for cannot be.
    """
    limit = arena_limit(board, options)

    def fastest(schedule: Schedule | None) -> Graph:
        return choose_kernels(graph, board.cpu, schedule)

    def frugal(schedule: Schedule | None) -> Graph:
        return _without_greedy_kernels(fastest(schedule), limit)

    def portable(schedule: Schedule | None) -> Graph:
        return graph

    if fastest(None) is graph:
        return _lay_out(portable, board, options, must_fit)
    if options.optimize == "ram" and options.cost_limit is None:
        return _with_free_kernels(_lay_out(portable, board, options, must_fit), fastest, board, limit)
    found = []
    for kernels in (fastest, frugal):
        try:
            found.append(_lay_out(kernels, board, options, must_fit))
        except QmkitError:
            continue
        if found[-1].fits(limit):
            return found[-1]
    smallest = _lay_out(portable, board, options, must_fit)
    return smallest if smallest.fits(limit) or not found else found[0]


def _without_greedy_kernels(graph: Graph, limit: int) -> Graph:
    """The graph with portable kernels for nodes that need more than so many bytes when they run whole."""
    alive = memory.bytes_alive(graph)
    nodes = [
        dataclasses.replace(node, kernel="") if size > limit else node
        for node, size in zip(graph.nodes, alive, strict=True)
    ]
    return graph.replace(nodes=nodes)


def _with_free_kernels(layout: Layout, fastest: Callable[[Schedule], Graph], board: Board, limit: int) -> Layout:
    """The same patches with fast kernels for the layers, one after the other, whose scratch the arena has room for."""
    graph, plan = layout.graph, layout.memory
    for index, node in enumerate(fastest(layout.schedule).nodes):
        if not node.kernel:
            continue
        trial = graph.replace(nodes=[node if at == index else each for at, each in enumerate(graph.nodes)])
        found = _memory(trial, layout.schedule, board, limit)
        if (found.arena_bytes, found.external_bytes) <= (plan.arena_bytes, plan.external_bytes):
            graph, plan = trial, found
    return dataclasses.replace(layout, graph=graph, memory=plan)


def _lay_out(kernels: Callable[[Schedule | None], Graph], board: Board, options: Options, must_fit: bool) -> Layout:
    """One plan.

    Args:
        kernels: the graph with its kernels for a schedule, None before there is one.
    """
    graph = kernels(None)
    costs = _costs(graph, board) if options.cost in (None, "cycles") else None
    alive = memory.bytes_alive(graph)
    limit = budget = arena_limit(board, options)
    for _ in range(_TIGHTER_PLANS):
        wishes = options.wishes(budget)
        wishes = dataclasses.replace(wishes, must_fit=wishes.must_fit and must_fit)
        choice = patch.choose(graph, costs, wishes, whole_bytes=alive)
        schedule = patch.lay_out(graph, choice.plan)
        graph = kernels(schedule)
        plan = _memory(graph, schedule, board, limit)
        if not choice.fits or plan.arena_bytes <= limit:
            break
        budget -= plan.arena_bytes - limit
    return Layout(graph, choice, schedule, plan)


def laid_out_again(layout: Layout, graph: Graph, branches: Branches | None, board: Board, options: Options) -> Layout:
    """The same patches with kernels and memory for other widths: for the widest of the patches' classes.

    Raises:
        QmkitError: ``ram-budget``: it exceeds what the user allows.
    """
    limit = arena_limit(board, options)
    ways = [(graph, branches)]  # as in :func:`lay_out`, the fastest kernels before the portable ones
    if branches:
        fastest = choose_branch_kernels(branches, board.cpu, layout.schedule)
        ways.insert(0, (fastest.common, fastest))
    else:
        ways.insert(0, (choose_kernels(graph, board.cpu, layout.schedule), None))
    for graph, branches in ways:
        plan = _memory(graph, layout.schedule, board, limit, branches)
        if plan.arena_bytes <= limit:
            break
    if options.ram is not None and plan.arena_bytes > options.ram:
        raise QmkitError(
            "ram-budget",
            f"the arena takes {plan.arena_bytes:,} bytes, and {options.ram:,} are allowed",
            why="packed layers need scratch that those of 8 bits do not, and classes the tiles of the widest",
            hint=f"--ram {plan.arena_bytes}, more and smaller --patches, or --vdpc off",
            exit_code=EXIT_FAILED,
        )
    return dataclasses.replace(layout, graph=graph, memory=plan, branches=branches)


def _memory(graph: Graph, schedule: Schedule, board: Board, limit: int, branches: Branches | None = None) -> MemoryPlan:
    return memory.plan(graph, schedule, internal_bytes=limit if board.psram_bytes else None, branches=branches)


def _costs(graph: Graph, board: Board) -> patch.Costs:
    """What nodes and patches take, in cycles of the board's core."""
    cycles = patch_costs(graph, core_of(board))
    pairs = zip(graph.nodes, cycles.whole, cycles.call, strict=True)
    return patch.Costs(
        nodes={node.name: patch.NodeCost(whole, call) for node, whole, call in pairs},
        byte=cycles.moved_byte,
        enter=cycles.enter,
        leave=cycles.leave,
        patch=cycles.patch,
        check=cycles.check,
    )


def nominal_graph(graph: Graph, precision: PrecisionPlan | None = None) -> Graph:
    """The integer graph of a float one for its sizes and work alone: maps have nominal ranges.

    They end where an activation clamps, as kernels are faster where that is the end of the type. Weights are scaled to
    them, channel by channel, so that requantization scales down, as it does between ranges that were observed.
    """
    bounds = {port.tensor: (-1.0, 1.0) for port in graph.inputs}
    for index, node in enumerate(graph.nodes):
        bounds[node.output] = _nominal_range(graph, index, bounds)
    graph = graph.replace(tensors={**graph.tensors, **_nominal_weights(graph, bounds)})
    calibration = Calibration({name: _nominal_stats(*bounds[name]) for name in bounds}, {}, 0)
    settings = quantize.Settings("minmax", rounding="nearest", bias_correction=False)
    return quantize.apply(graph, calibration, precision or PrecisionPlan(), settings)


def _nominal_range(graph: Graph, index: int, bounds: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    node = graph.nodes[index]
    if TABLE[node.op].output_quant is OutputQuant.SAME:
        ranges = [bounds[name] for name in graph.activation_inputs(node)]
        return min(low for low, _ in ranges), max(high for _, high in ranges)
    low, high = getattr(node.attrs, "activation", Activation.NONE).bounds
    nominal = _NOMINAL * (1 + _UNLIKE * (index % _ALIKE))
    return max(low, -nominal), min(high, nominal)


def _nominal_weights(graph: Graph, bounds: Mapping[str, tuple[float, float]]) -> dict[str, Tensor]:
    """Weights and biases whose sums reach a few times the output's range at most."""
    found: dict[str, Tensor] = {}
    for node in graph.nodes:
        axis = TABLE[node.op].weight_axis
        tensors = [tensor for tensor in graph.input_tensors(node)[1:] if tensor is not None]
        if axis is None or not all(tensor.is_constant and tensor.dtype.is_float for tensor in tensors):
            continue
        sums = np.abs(np.moveaxis(tensors[0].data, axis, 0)).reshape(tensors[0].shape[axis], -1).sum(axis=1)
        reach = np.maximum(sums.astype(float) * max(map(abs, bounds[node.inputs[0]])), np.finfo(np.float32).tiny)
        factor = np.minimum(_REACH * max(map(abs, bounds[node.output])) / reach, 1.0)
        shape = [-1 if index == axis else 1 for index in range(len(tensors[0].shape))]
        for tensor, scale in zip(tensors, (factor.reshape(shape), factor), strict=False):
            scaled = (tensor.data * scale).astype(np.float32)
            found[tensor.name] = dataclasses.replace(tensor, data=scaled.reshape(tensor.shape))
    return found


def _nominal_stats(low: float, high: float) -> TensorStats:
    return TensorStats(low, high, np.ones(2, np.int64), low, high)
