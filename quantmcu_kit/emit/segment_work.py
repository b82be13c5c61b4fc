"""What the code around the kernels of a segment does, counted: patches, parts, and pixels that are kept and moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from quantmcu_kit.emit.work import CHANNEL_BLOCK, Work, copies, each, fills, places, total_of
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import MemoryPlan
from quantmcu_kit.ir.schedule import PatchedMap, Patches, Schedule, Stage
from quantmcu_kit.ops.carry import requantization
from quantmcu_kit.ops.interpret import sum_bytes
from quantmcu_kit.ops.kept_rows import saved_columns
from quantmcu_kit.ops.spec import KernelCall

_START = np.zeros(1, np.int64)  # of a block in the arena


def segment_work(graph: Graph, stage: Stage, calls: Sequence[Sequence[KernelCall]]) -> Work:
    """The counts of a stage that runs patch by patch.

    Args:
        calls: kernel calls of each of the stage's nodes.
    """
    patches = stage.patches
    count = patches.row_steps * patches.column_steps
    tiled = [
        (of_node, patches.by_tensor[node.output])
        for node, of_node in zip(graph.nodes[stage.start : stage.end], calls, strict=True)
        if node.output in patches.by_tensor
    ]
    parts = operands = 0
    for of_node, entry in tiled:
        new = new_patches(entry)
        parts += len(of_node) * new
        operands += sum(len(call.arguments) - 1 for call in of_node) * new
    if patches.accumulates:
        parts += new_patches(patches.maps[-1])
    turned = parts if patches.column_steps == 1 else 0
    moved = [total_of(kept_work(graph, patches, entry), slid_work(graph, patches, entry)) for entry in patches.maps]
    return total_of(
        {"rows": patches.row_steps, "patches": count},
        {"checks": len(tiled) * count, "parts": parts, "turned": turned, "operands": operands},
        _sums_work(graph, stage),
        _pulled_work(graph, patches),
        *moved,
    )


def scan_work(graph: Graph, stage: Stage) -> Work:
    """What tells the classes of a stage's patches: a look at every value that they read."""
    source = stage.patches.maps[0]
    tensor = graph.tensors[source.tensor]
    values = "packed_values" if tensor.dtype.is_packed else "values"
    return {
        "calls": stage.patches.row_steps * stage.patches.column_steps,
        "rows": sum(span.fresh for span in source.rows) * stage.patches.column_steps,
        values: source.pixels * tensor.shape[3],
    }


def new_patches(entry: PatchedMap) -> int:
    """Patches that compute anything of a map."""
    return sum(span.fresh > 0 for span in entry.rows) * sum(span.fresh > 0 for span in entry.columns)


def moves(patches: Patches, entry: PatchedMap) -> bool:
    """Whether something of a map moves before a patch writes its part."""
    resident = {patches.output} | (set() if patches.pulls_input else {patches.input})
    slides = entry.stays and patches.column_steps > 1 and entry.tensor not in resident
    return bool(entry.kept_rows) or slides


def slid_work(graph: Graph, patches: Patches, entry: PatchedMap) -> Work:
    """``qmcu_enter`` of a map: calls, and columns that move within the tile."""
    if not moves(patches, entry):
        return {}
    work: Counter[str] = Counter({"enters": patches.row_steps * patches.column_steps})
    if not patches.mode.keeps_columns:
        return work
    work["slides"] = patches.row_steps * (patches.column_steps - 1)
    pixel_bytes = graph.tensors[entry.tensor].pixel_bytes
    row_bytes = entry.held.w * pixel_bytes
    held = [np.arange(span.end - span.first) * row_bytes for span in entry.rows]
    rows = np.concatenate(held)
    for before, span in zip(entry.columns, entry.columns[1:], strict=False):
        by = span.first - before.first
        if 0 < by < entry.held.w:
            work += total_of(
                {"slid_rows": len(rows)},
                copies((entry.held.w - by) * pixel_bytes, places(rows + by * pixel_bytes, rows)),
            )
    return work


def kept_work(graph: Graph, patches: Patches, entry: PatchedMap) -> Work:
    """Rows of a map that are copied from its tile to the kept rows (``qmcu_leave``), and back (``qmcu_enter``)."""
    if not entry.kept_rows:
        return {}
    rows, columns = patches.row_steps, patches.column_steps
    exchanges = (2 * rows - 1) * columns  # every patch asks for rows back, all but the last ones save some
    work: Counter[str] = Counter({"leaves": rows * columns, "exchanges": exchanges})
    back = [(span.first, span.first, span.start) for span in entry.rows]
    away = [
        (span.first, max(after.first, span.start), span.end)
        for span, after in zip(entry.rows, entry.rows[1:], strict=False)
    ]
    ends = [*(span.first for span in entry.columns[1:]), entry.columns[-1].end]
    for span, end in zip(entry.columns, ends, strict=True):
        work += _kept_rows(graph, entry, back, span.start - span.first, (span.start, span.end))
        work += _kept_rows(graph, entry, away, 0, (span.first, min(end, span.end)))
    return work


def exchange_work(
    graph: Graph, common: Graph, entry: PatchedMap, chosen: np.ndarray | None = None
) -> Mapping[str, Work]:
    """What patches of a class do to turn rows of a map into the common graph's values and back, by the kernel whose
    loops are like it; nothing where both are alike.

    Args:
        graph: the network as patches of the class compute it.
        chosen: bool [row steps, column steps]: these patches alone.
    """
    own, kept = graph.tensors[entry.tensor], common.tensors[entry.tensor]
    if not entry.kept_rows or requantization(own, kept).table is None:
        return {}
    above = [max(0, span.start - span.first) for span in entry.rows]
    firsts = [*(span.first for span in entry.rows[1:]), entry.rows[-1].end]
    saved = [max(0, span.end - max(first, span.start)) for span, first in zip(entry.rows, firsts, strict=True)]
    taken = np.outer(above, [span.fresh for span in entry.columns])
    given = np.outer(saved, [end - start for start, end in saved_columns(entry.columns)])
    is_chosen = np.ones(taken.shape, bool) if chosen is None else chosen
    pixels = [int(moved[is_chosen].sum()) for moved in (taken, given)]
    channels = own.shape[3]
    is_dense = all(tensor.pixel_bytes * 8 == channels * tensor.dtype.bits for tensor in (own, kept))
    together = np.mean([span.fresh for span in entry.columns]) if is_dense else 1
    work: Counter[str] = Counter()
    for count, source, target in zip(pixels, (kept, own), (own, kept), strict=True):
        work["packed"] += count * channels * target.dtype.is_packed
        work["unpacked"] += count * channels * source.dtype.is_packed
        work["blocks"] += -(-count * channels // CHANNEL_BLOCK)
    return {"lookup": {"part_runs": sum(pixels) / together, "outputs": sum(pixels) * channels}, "reshape": work}


def _kept_rows(
    graph: Graph, entry: PatchedMap, steps: Sequence[tuple[int, int, int]], column: int, columns: tuple[int, int]
) -> Work:
    """Copies of rows between tile and kept rows.

    Args:
        steps: (first row of the tile, first row to copy, end of them) of each step.
        column: of the tile, where the copied ones begin.
        columns: that are copied, of the map.
    """
    if columns[0] >= columns[1]:
        return {}
    width, pixel_bytes = graph.tensors[entry.tensor].shape[2], graph.tensors[entry.tensor].pixel_bytes
    tiles = [(np.arange(start, end) - first) * entry.held.w + column for first, start, end in steps]
    kept = [(np.arange(start, end) % entry.kept_rows) * width + columns[0] for _, start, end in steps]
    at = places(np.concatenate(kept) * pixel_bytes, np.concatenate(tiles) * pixel_bytes)
    return total_of({"kept_rows": int(at.sum())}, copies((columns[1] - columns[0]) * pixel_bytes, at))


def moves_work(graph: Graph, schedule: Schedule, plan: MemoryPlan) -> Work:
    """Maps between two stages that move to where the next one wants them."""
    work: Counter[str] = Counter()
    for stage, before, after in zip(schedule.stages, plan.stages, plan.stages[1:], strict=False):
        tensor = graph.tensors[graph.nodes[stage.end - 1].output]
        source, target = before.offsets[tensor.name], after.offsets[tensor.name]
        is_external = tensor.name in before.external, tensor.name in after.external
        if (source, is_external[0]) == (target, is_external[1]):
            continue
        work["moves"] += 1
        if is_external[0] == is_external[1] and 0 < target - source < tensor.bytes:  # from its end, byte by byte
            work["moved_bytes"] += tensor.bytes
        else:
            work.update(copies(tensor.bytes, places(np.array([source]), np.array([target]))))
    return work


def _sums_work(graph: Graph, stage: Stage) -> Work:
    """Clearing of the sums of a reduction."""
    if not stage.patches.accumulates:
        return {}
    return fills(sum_bytes(graph, graph.nodes[stage.end - 1]), places(_START, _START))


def _pulled_work(graph: Graph, patches: Patches) -> Work:
    """Pixels of an input that is not resident, copied from the values of the whole input."""
    if not patches.pulls_input:
        return {}
    entry = patches.by_tensor[patches.input]
    _, _, width, channels = graph.tensors[entry.tensor].shape
    source = [np.arange(span.start, span.end) * width * channels for span in entry.rows]
    target = [
        np.arange(span.start - span.first, span.end - span.first) * entry.held.w * channels for span in entry.rows
    ]
    rows = places(np.concatenate(source), np.concatenate(target))
    work = Counter({"pulls": len(entry.rows) * len(entry.columns)})
    for span in entry.columns:
        if span.fresh:
            begin = places(np.array([span.start * channels]), np.array([(span.start - span.first) * channels]))
            work += total_of({"pulled_rows": int(rows.sum())}, copies(span.fresh * channels, each(rows, begin)))
    return work
