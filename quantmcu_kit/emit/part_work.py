"""What kernels do where a layer runs patch by patch, counted; ``work.py`` has the same of whole layers.

A part is a small layer: as large as its region, reading as much of its input as the region's windows see. Parts with
as many rows, and rows of padding, do the same, and so it is with columns: a layer is a few kinds of parts, and how
often each occurs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import product
from types import SimpleNamespace

import numpy as np

from quantmcu_kit.emit import native_work
from quantmcu_kit.emit.binary_work import binary_part, binary_table_part
from quantmcu_kit.emit.work import (
    KERNELS,
    WORD,
    Work,
    copies,
    each,
    fills,
    places,
    products,
    read,
    steps,
    total_of,
)
from quantmcu_kit.ir.schedule import PatchedMap, Span
from quantmcu_kit.ops.spec import KernelCall

Kind = tuple[int, ...]  # what decides the work of a part along one axis; empty where there is nothing to compute


def parts_work(
    call: KernelCall, source: PatchedMap, target: PatchedMap, channels: int, chosen: np.ndarray | None = None
) -> Work:
    """The counts of one kernel call in all patches.

    Args:
        source, target: the map that the call reads first, and the one that it writes.
        channels: of the target.
        chosen: bool [row steps, column steps]: in these patches alone.
    """
    k = read(call.fields)
    vars(k).update(native_work.FIXED.get(call.kernel, {}))
    k.channels = channels
    k.pitch = source.held.w * (k.input.c if hasattr(k, "input") else channels)
    kind, part = _PARTS[call.kernel]
    return _in_patches(
        [kind(k, "h", span, held.first) for span, held in zip(target.rows, source.rows, strict=True)],
        [kind(k, "w", span, held.first) for span, held in zip(target.columns, source.columns, strict=True)],
        lambda row, column: part(k, call, row, column),
        chosen,
    )


def accumulation_work(call: KernelCall, source: PatchedMap, channels: int) -> Work:
    """The counts of a reduction that adds up the pixels of all patches, and then writes its output.

    Args:
        source: the map that it reduces.
        channels: of this map.
    """
    k = read(call.fields)
    parts = _in_patches(
        [_pixels(k, "h", span, 0) for span in source.rows],
        [_pixels(k, "w", span, 0) for span in source.columns],
        lambda row, column: _ADDED[call.kernel](k, row[0], column[0], channels),
    )
    return total_of(parts, {"ends": 1, "outputs": k.out if call.kernel == "fully_connected" else channels})


def _in_patches(
    rows: list[Kind], columns: list[Kind], work: Callable[[Kind, Kind], Work], chosen: np.ndarray | None = None
) -> Work:
    """The sum over all patches, or the chosen ones, that compute anything."""
    total: Counter[str] = Counter(part_calls=0)
    for (row, column), times in _kinds(rows, columns, chosen).items():
        total.update({"part_calls": times} | {name: times * count for name, count in work(row, column).items()})
    return total


def _kinds(rows: list[Kind], columns: list[Kind], chosen: np.ndarray | None) -> Mapping[tuple[Kind, Kind], int]:
    """How many patches there are of each kind."""
    if chosen is not None:
        pairs = Counter((rows[row], columns[column]) for row, column in np.argwhere(chosen))
    else:
        counted = product(Counter(rows).items(), Counter(columns).items())
        pairs = {(row, column): times * many for (row, times), (column, many) in counted}
    return {(row, column): times for (row, column), times in pairs.items() if row and column}


def _window(k: SimpleNamespace, axis: str, span: Span, held: int) -> Kind:
    """Rows of output; rows of input that are seen, and of padding before them; place of the first within a word's."""
    if not span.fresh:
        return ()
    image, stride = getattr(k.input, axis), getattr(k.stride, axis)
    size = getattr(k.window if hasattr(k, "window") else k.kernel, axis)
    step = getattr(k.dilation, axis) if hasattr(k, "dilation") else 1
    start = span.start * stride - (k.pad.top if axis == "h" else k.pad.left)
    end = start + (span.fresh - 1) * stride + (size - 1) * step + 1
    seen = max(start, 0)
    return span.fresh, max(min(end, image) - seen, 0), seen - start, (seen - held) % WORD


def _windows(k: SimpleNamespace, call: KernelCall, row: Kind, column: Kind) -> Work:
    geometry = {
        "out": SimpleNamespace(h=row[0], w=column[0], c=k.out.c, bits=k.out.bits),
        "input": SimpleNamespace(h=row[1], w=column[1], c=k.input.c, bits=k.input.bits),
        "pad": SimpleNamespace(top=row[2], left=column[2]),
        "offset": row[3] * k.pitch + column[3] * k.input.c,
    }
    return KERNELS[call.kernel](SimpleNamespace(**vars(k) | geometry), call)


def _pixels(k: SimpleNamespace, axis: str, span: Span, held: int) -> Kind:
    """How many."""
    return (span.fresh,) if span.fresh else ()


def _binary(k: SimpleNamespace, call: KernelCall, row: Kind, column: Kind) -> Work:
    return binary_part(k, call, row[0], column[0])


def _binary_table(k: SimpleNamespace, call: KernelCall, row: Kind, column: Kind) -> Work:
    return binary_table_part(k, call, row[0], column[0])


def _lookup(k: SimpleNamespace, call: KernelCall, row: Kind, column: Kind) -> Work:
    return {"part_runs": row[0], "outputs": row[0] * column[0] * k.channels}


def _concatenation(k: SimpleNamespace, call: KernelCall, row: Kind, column: Kind) -> Work:
    runs, size = row[0] * column[0], k.row
    if size >= k.channels:  # joined along rows or columns
        runs, size = row[0], column[0] * k.channels
    if k.table is not None:
        return {"part_rows": row[0], "part_runs": runs, "looked_up": runs * size}
    first = places(np.zeros(1, np.int64), np.array([k.out_offset]))
    return total_of({"part_rows": row[0], "part_runs": runs}, copies(size, each(first, steps(runs, size, k.channels))))


def _padded(k: SimpleNamespace, axis: str, span: Span, held: int) -> Kind:
    """Rows of output, and rows of input among them."""
    first = getattr(k.before, axis)
    inside = min(span.end, first + getattr(k.input, axis)) - max(span.start, first)
    return (span.fresh, max(inside, 0)) if span.fresh else ()


def _pad(k: SimpleNamespace, call: KernelCall, row: Kind, column: Kind) -> Work:
    row_bytes = column[0] * k.channels
    return total_of(
        {"part_runs": row[0], "rows": row[1]},
        fills(row_bytes, steps(row[0], 0, row_bytes)),
        copies(column[1] * k.channels, steps(row[1], k.pitch, row_bytes)),
    )


def _picked(k: SimpleNamespace, axis: str, span: Span, held: int) -> Kind:
    """Which row each row is a copy of, from the first one's on."""
    rows = (k.rows if axis == "h" else k.columns)[span.start : span.end]
    return tuple((rows - rows[:1]).tolist())


def _resize(k: SimpleNamespace, call: KernelCall, row: Kind, column: Kind) -> Work:
    geometry = {
        "out": SimpleNamespace(h=len(row), w=len(column), c=k.channels),
        "rows": np.array(row),
        "columns": np.array(column),
    }
    return KERNELS[call.kernel](SimpleNamespace(**vars(k) | geometry), call)


def _added_pixels(k: SimpleNamespace, rows: int, columns: int, channels: int) -> Work:
    return {"added_rows": rows, "added_taps": rows * columns, "summed": rows * columns * channels}


def _added_products(k: SimpleNamespace, rows: int, columns: int, channels: int) -> Work:
    work = products(rows, columns * channels, k.out, k.weight_zero, k.weight_bits)
    sums = work.pop("outputs")
    work.pop("corrected", None)
    return {**work, "added_rows": work.pop("vectors"), "added_sums": sums}


_Along = Callable[[SimpleNamespace, str, Span, int], Kind]
_Part = Callable[[SimpleNamespace, KernelCall, Kind, Kind], Work]
_PARTS: Mapping[str, tuple[_Along, _Part]] = {
    "add": (_pixels, _binary),
    "average_pool_2d": (_window, _windows),
    "concatenation": (_pixels, _concatenation),
    "conv_2d": (_window, _windows),
    "depthwise_conv_2d": (_window, _windows),
    "lookup": (_pixels, _lookup),
    "max_pool_2d": (_window, _windows),
    "mul": (_pixels, _binary),
    "pad": (_padded, _pad),
    "resize_nearest_neighbor": (_picked, _resize),
    **dict.fromkeys(native_work.KERNELS, (_window, _windows)),
    "binary_table": (_pixels, _binary_table),
}
_ADDED: Mapping[str, Callable[[SimpleNamespace, int, int, int], Work]] = {
    "average_pool_2d": _added_pixels,
    "fully_connected": _added_products,
    "mean": _added_pixels,
}
