"""How long a network takes on a board, estimated on the PC without a cross-compiler and without running it.

Each kernel's loops are counted from the geometry of its calls (``work.py``); what each part of them costs was fitted to
cycles measured on emulated boards (``cycles.toml`` beside the runtime). So the source is that of `qmkit bench`: the
cycle model of the core, with flash as fast as the core. How far estimates are from it is part of the table.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from quantmcu_kit.boards.catalog import Board
from quantmcu_kit.emit.classes import PatchClasses, patch_classes
from quantmcu_kit.emit.layers import node_calls, read_maps
from quantmcu_kit.emit.part_work import accumulation_work, parts_work
from quantmcu_kit.emit.runtime_files import runtime_root
from quantmcu_kit.emit.segment_work import exchange_work, moves_work, scan_work, segment_work
from quantmcu_kit.emit.work import Work, work_of
from quantmcu_kit.ir.branches import Branches, Scan
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import MemoryPlan
from quantmcu_kit.ir.schedule import Schedule, Stage
from quantmcu_kit.ops.spec import KernelCall

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NETWORK = "network"  # the entry of the code between the layers
SEGMENT = "segment"  # of the code between the parts of layers that run patch by patch
SCAN = "scan"  # of what tells branch classes apart

# Of networks below 8 bits: largest differences from the emulated Cortex-M4, of mixes of four networks and of single
# layers, rounded up.
_PACKED_ERROR, _PACKED_LAYER_ERROR = 0.02, 0.12
_MOVED_RUN = 64  # bytes: of the rows that plans are compared by


@dataclass(frozen=True)
class Latency:
    """Estimated cycles of one run.

    Attributes:
        cycles: from the call of the library's run function to its return.
        layers: cycles of each node of the graph, in all patches; 0 for a view.
        patches: what patches take beside the layers' kernels.
        clock_mhz: of the board.
        error: largest relative difference from the emulated board that was measured on a whole network.
        layer_error: the same of a single layer.
        compiler: what the measured code was compiled with, and at which level.
        is_bound: whether pictures decide over what is computed, and these are the cycles of the slowest.
    """

    cycles: int
    layers: tuple[int, ...]
    patches: int
    clock_mhz: int
    error: float
    layer_error: float
    compiler: str
    is_bound: bool = False

    @property
    def milliseconds(self) -> float:
        """Of one run."""
        return self.milliseconds_of(self.cycles)

    def milliseconds_of(self, cycles: int) -> float:
        """Time that ``cycles`` take on the board."""
        return cycles / (self.clock_mhz * 1000)


@dataclass(frozen=True)
class PatchCosts:
    """Cycles from which the cost of running nodes patch by patch can be estimated before a schedule exists.

    A node takes ``whole`` times the share of its pixels that all patches compute, and ``call`` in each patch. These are
    for choosing among plans; :func:`estimate_latency` is exact about borders and rows.

    Attributes:
        whole, call: of each node of the graph; ``call`` is 0 for a view and for what never runs in patches.
        patch: of each patch.
        check: of each node in each patch, whether it computes anything or not.
        enter, leave: of each map that keeps something, in each patch: making room for it; keeping rows of it, and
            bringing them back.
        moved_byte: of each byte that is kept and comes back, or moves within a tile; for rows of 64 bytes.
    """

    whole: tuple[float, ...]
    call: tuple[float, ...]
    patch: float
    check: float
    enter: float
    leave: float
    moved_byte: float


@lru_cache
def _table(file: str = "cycles.toml") -> dict[str, Any]:
    return tomllib.loads((runtime_root() / file).read_text("utf-8"))


@lru_cache
def table_of(core: str) -> Mapping[str, Mapping[str, float]]:
    """Cycles of what each kernel does on a core of the table; ``error`` is how far estimates are off at most."""
    portable, native = (_table(file)["cores"].get(core, {}) for file in ("cycles.toml", "native_cycles.toml"))
    errors = {name: max(value, native.get("error", {}).get(name, 0.0)) for name, value in portable["error"].items()}
    return {**portable, **native, "error": errors}


def has_cycles(core: str) -> bool:
    """Whether the table knows a core, such as ``cortex-m4f``."""
    return core in _table()["cores"]


def knows_works(works: Mapping[str, Work], core: str) -> bool:
    """Whether the table has cycles of all work by kernel, such as :func:`node_work`, on a core."""
    table = table_of(core)
    return all(
        kernel in table and all(name in table[kernel] for name, count in work.items() if count)
        for kernel, work in works.items()
    )


def cycles_of(kernel: str, work: Work, core: str) -> float:
    """Cycles of ``work`` in ``kernel``, or in :data:`NETWORK`, on a core of the table.

    What no layer of the bench ever did counts nothing: portable kernels know it by other counts (``work.py``).
    """
    cycles = table_of(core)[kernel]
    return sum(cycles.get(name, 0.0) * count for name, count in work.items())


def works_cycles(works: Mapping[str, Work], core: str) -> float:
    """Cycles of work by kernel, such as :func:`node_work`."""
    return sum(cycles_of(kernel, work, core) for kernel, work in works.items())


def network_work(graph: Graph, kernel_calls: int) -> Work:
    """What the run function does beside its kernels: checks its arguments, calls, copies outputs out of the arena."""
    output_bytes = sum(graph.tensors[port.tensor].elements for port in graph.outputs)
    ports = len(graph.inputs) + len(graph.outputs)
    return {"calls": 1, "ports": ports, "kernel_calls": kernel_calls, "output_bytes": output_bytes}


def node_work(
    graph: Graph, stage: Stage, index: int, calls: Sequence[KernelCall], chosen: np.ndarray | None = None
) -> dict[str, Work]:
    """What a node's calls do in their stage, by kernel.

    Args:
        chosen: bool [row steps, column steps]: in these patches alone.
    """
    patches, node = stage.patches, graph.nodes[index]
    works: dict[str, Counter[str]] = {}
    for call in calls:
        if patches is None:
            work = work_of(call)
        elif node.output in patches.by_tensor:
            target = patches.by_tensor[node.output]
            source = patches.by_tensor[next(read_maps(graph, node, call), node.output)]
            work = parts_work(call, source, target, graph.tensors[node.output].shape[3], chosen)
        else:
            cut = patches.maps[-1]
            work = accumulation_work(call, cut, graph.tensors[cut.tensor].shape[3])
        works.setdefault(call.kernel, Counter()).update(work)
    return works


def patch_costs(graph: Graph, core: str) -> PatchCosts:
    """What an integer graph's nodes take whole and in patches, on a core of the table."""
    calls = [node_calls(graph, node) for node in graph.nodes]
    segment = table_of(core)[SEGMENT]
    moved_row = _MOVED_RUN / 16 * segment["copied_blocks"] + segment["long_copies"] + segment["kept_rows"]
    return PatchCosts(
        whole=tuple(sum(cycles_of(call.kernel, work_of(call), core) for call in of_node) for of_node in calls),
        call=tuple(sum(_part_cycles(call, core) for call in of_node) for of_node in calls),
        patch=segment["patches"],
        check=segment["checks"],
        enter=segment["enters"],
        leave=segment["leaves"] + 2 * segment["exchanges"],
        moved_byte=moved_row / _MOVED_RUN,
    )


def _part_cycles(call: KernelCall, core: str) -> float:
    """What a part takes before its first pixel."""
    table = table_of(core)
    if "part_calls" not in table[call.kernel]:
        return 0.0
    around = {"parts": 1, "operands": len(call.arguments) - 1}
    return table[call.kernel]["part_calls"] + cycles_of(SEGMENT, around, core)


def estimate_latency(
    graph: Graph,
    board: Board,
    schedule: Schedule | None = None,
    plan: MemoryPlan | None = None,
    branches: Branches | None = None,
) -> Latency | None:
    """The latency of an integer graph; None for a board whose core has no cycle model.

    Args:
        schedule: by default layer by layer.
        plan: memory of the schedule, which tells what moves between stages and what is written where it is wanted.
        branches: classes of the patches of one stage, of which ``graph`` is the common one. Where the picture decides,
            each layer is taken to run in the class in which it takes longest, in all patches.
    """
    if not has_cycles(board.cpu):
        return None
    schedule = schedule or Schedule.whole(graph)
    memories = plan.stages if plan else (None,) * len(schedule.stages)
    layers: list[float] = []
    kernel_calls = 0
    patches = cycles_of(SEGMENT, moves_work(graph, schedule, plan), board.cpu) if plan else 0.0
    for position, (stage, memory) in enumerate(zip(schedule.stages, memories, strict=True)):
        nodes, in_patches = graph.nodes[stage.start : stage.end], stage.patches is not None
        calls = [node_calls(graph, node, memory, in_patches=in_patches) for node in nodes]
        classes = patch_classes(branches, schedule, position)
        for index, of_node in enumerate(calls, stage.start):
            if classes and graph.nodes[index].output in stage.patches.by_tensor:
                layers.append(_classed_cycles(classes, stage, index, board.cpu))
            else:
                layers.append(works_cycles(node_work(graph, stage, index, of_node), board.cpu))
        if stage.patches is None:
            kernel_calls += sum(map(len, calls))
            continue
        patches += cycles_of(SEGMENT, segment_work(graph, stage, calls), board.cpu)
        if classes:
            patches += _exchange_cycles(classes, stage, board.cpu)
        if classes and classes.is_scanned:
            patches += cycles_of(SCAN, scan_work(graph, stage), board.cpu)
    between = cycles_of(NETWORK, network_work(graph, kernel_calls), board.cpu)
    table = _table()
    errors = table_of(board.cpu)["error"]
    graphs = branches.graphs.values() if branches else (graph,)
    has_packed = any(tensor.dtype.is_packed for each in graphs for tensor in each.tensors.values())
    return Latency(
        cycles=round(sum(layers) + patches + between),
        layers=tuple(round(cycles) for cycles in layers),
        patches=round(patches),
        clock_mhz=board.clock_mhz,
        error=max(errors["network"], _PACKED_ERROR if has_packed else 0.0),
        layer_error=max(errors["layer"], _PACKED_LAYER_ERROR if has_packed else 0.0),
        compiler=f"{table['compiler']} {table['level']}",
        is_bound=branches is not None and isinstance(branches.rule, Scan),
    )


def _classed_cycles(classes: PatchClasses, stage: Stage, index: int, core: str) -> float:
    """Of a node of a stage with branch classes."""

    def cycles(number: int, chosen: np.ndarray | None) -> float:
        graph = classes.graphs[number]
        calls = node_calls(graph, graph.nodes[index], in_patches=True)
        return works_cycles(node_work(graph, stage, index, calls, chosen), core)

    return _over_classes(classes, cycles)


def _exchange_cycles(classes: PatchClasses, stage: Stage, core: str) -> float:
    """Of turning kept rows from class to class: no less than it takes, for it is counted beside copying them."""

    def cycles(number: int, chosen: np.ndarray | None) -> float:
        graph, common = classes.graphs[number], classes.graphs[0]
        works = (exchange_work(graph, common, entry, chosen) for entry in stage.patches.maps)
        return sum(works_cycles(work, core) for work in works)

    return _over_classes(classes, cycles)


def _over_classes(classes: PatchClasses, cycles: Callable[[int, np.ndarray | None], float]) -> float:
    """By place, or of each patch the class that is dearest there: no picture takes more.

    Args:
        cycles: of a class by number, and the patches that are of it, bool [row steps, column steps].
    """
    numbers = range(len(classes.graphs))
    if not classes.is_scanned:
        return sum(cycles(number, np.array(classes.numbers) == number) for number in numbers)
    shape = (classes.patches.row_steps, classes.patches.column_steps)
    patches = np.eye(shape[0] * shape[1], dtype=bool).reshape(-1, *shape)
    return sum(max(cycles(number, patch) for number in numbers) for patch in patches)
