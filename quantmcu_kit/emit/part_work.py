"""What a segment does, counted: kernels on parts of maps (``work.py`` has those on whole ones), and what patches take
beside them.

A part's loops are those of a small layer: as large as the region, reading as much of its input as the region's windows
see. Patches with the same rows, or the same columns, count the same, so a layer is a few kinds of parts and how often
each occurs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from types import SimpleNamespace

import numpy as np

from quantmcu_kit.emit.work import KERNELS, Work, copies, each, fills, moves, places, products, read, steps, total_of
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.schedule import PatchedMap, Patches, Span
from quantmcu_kit.ops.spec import KernelCall
from quantmcu_kit.ops.table import TABLE

_ALIGNMENT = 4  # bytes of a word: how copies lie within words decides what they cost
_START = np.zeros(1, np.int64)
Kind = tuple  # what decides the work of a part, along one axis


def parts_work(call: KernelCall, source: PatchedMap, target: PatchedMap, channels: int) -> Work:
    """The counts of one kernel call in all patches.

    Args:
        source, target: the map that it reads first, and the one that it writes.
        channels: of the target.
    """
    k = read(call.fields)
    k.channels, k.row_bytes = channels, source.held.w * getattr(getattr(k, "input", None), "c", channels)
    along, part = _PARTS[call.kernel]
    rows = Counter(along(k, "h", span, held.first) for span, held in zip(target.rows, source.rows, strict=True))
    columns = Counter(along(k, "w", span, held.first) for span, held in zip(target.columns, source.columns, strict=True))
    total: Counter[str] = Counter()
    for (row, many), (column, times) in product(rows.items(), columns.items()):
        if row and column:
            total.update({name: many * times * count for name, count in part(k, call, row, column).items()})
    total.pop("calls", None)
    return {**total, "part_calls": rows.total() * columns.total()}


def _window(k: SimpleNamespace, axis: str, span: Span, held: int) -> Kind:
    """(rows of output, rows of input that are seen, rows of padding before them, how far they are from the first held).

    The last one only matters for how copies lie within words.
    """
    image, stride, size = getattr(k.input, axis), getattr(k.stride, axis), getattr(k.size, axis)
    before = k.pad.top if axis == "h" else k.pad.left
    step = getattr(k.dilation, axis) if hasattr(k, "dilation") else 1
    first = span.start * stride - before
    end = min(first + (span.fresh - 1) * stride + (size - 1) * step + 1, image)
    seen = max(first, 0)
    return (span.fresh, max(end - seen, 0), max(-first, 0), (seen - held) % _ALIGNMENT) if span.fresh else ()


def _windows(k: SimpleNamespace, call: KernelCall, row: Kind, column: Kind) -> Work:
    fields = vars(k) | {
        "out": SimpleNamespace(h=row[0], w=column[0], c=k.out.c),
        "input": SimpleNamespace(h=row[1], w=column[1], c=k.input.c),
        "pad": SimpleNamespace(top=row[2], left=column[2]),
        "offset": row[3] * k.row_bytes + column[3] * k.input.c,
    }
    return KERNELS[call.kernel](SimpleNamespace(**fields), call)


def _kernel_window(k: SimpleNamespace, axis: str, span: Span, held: int) -> Kind:
    k.size = k.kernel
    return _window(k, axis, span, held)


def _pool_window(k: SimpleNamespace, axis: str, span: Span, held: int) -> Kind:
    k.size = k.window
    return _window(k, axis, span, held)


def _pixels(k: SimpleNamespace, axis: str, span: Span, held: int) -> Kind:
    """How many."""
    return (span.fresh,) if span.fresh else ()


def _binary(k: SimpleNamespace, call: KernelCall, row: Kind, column: Kind) -> Work:
    is_spread = k.rows > 1 and 0 in (k.a_stride, k.b_stride)  # one value per channel meets pixel after pixel
    return {"part_runs": row[0] * (column[0] if is_spread else 1), "outputs": row[0] * column[0] * k.channels}


def _lookup(k: SimpleNamespace, call: KernelCall, row: Kind, column: Kind) -> Work:
    return {"part_runs": row[0], "outputs": row[0] * column[0] * k.channels}


def _concatenation(k: SimpleNamespace, call: KernelCall, row: Kind, column: Kind) -> Work:
    pixels = row[0] * column[0]
    size = min(k.row_bytes_in, k.channels)
    if k.table is not None:
        return {"part_runs": pixels, "looked_up": pixels * size}
    first = places(_START, np.array([k.out_offset]))
    return total_of({"part_runs": pixels}, copies(size, each(first, steps(pixels, size, k.channels))))


def _pad_axis(k: SimpleNamespace, axis: str, span: Span, held: int) -> Kind:
    """(rows of output, rows of input among them)."""
    before, size = getattr(k.before, axis), getattr(k.input, axis)
    inside = min(span.end, before + size) - max(span.start, before)
    return (span.fresh, max(inside, 0)) if span.fresh else ()


def _pad(k: SimpleNamespace, call: KernelCall, row: Kind, column: Kind) -> Work:
    pitch = column[0] * k.channels
    return total_of(
        {"part_runs": row[0], "part_copies": row[1]},
        fills(pitch, steps(row[0], 0, pitch)),
        copies(column[1] * k.channels, steps(row[1], k.row_bytes, pitch)),
    )


def _resize_axis(k: SimpleNamespace, axis: str, span: Span, held: int) -> Kind:
    """Where each row is read, from the first one on."""
    picked = (k.rows if axis == "h" else k.columns)[span.start : span.end]
    return tuple(int(place) for place in picked - picked[0]) if span.fresh else ()


def _resize(k: SimpleNamespace, call: KernelCall, row: Kind, column: Kind) -> Work:
    fields = {
        "out": SimpleNamespace(h=len(row), w=len(column), c=k.channels),
        "input": SimpleNamespace(w=column[-1] + 1),
        "rows": np.array(row),
        "columns": np.array(column),
    }
    return KERNELS[call.kernel](SimpleNamespace(**fields), call)


_Along = Callable[[SimpleNamespace, str, Span, int], Kind]
_Part = Callable[[SimpleNamespace, KernelCall, Kind, Kind], Work]
_PARTS: Mapping[str, tuple[_Along, _Part]] = {
    "add": (_pixels, _binary),
    "average_pool_2d": (_pool_window, _windows),
    "concatenation": (_pixels, _concatenation),
    "conv_2d": (_kernel_window, _windows),
    "depthwise_conv_2d": (_kernel_window, _windows),
    "lookup": (_pixels, _lookup),
    "max_pool_2d": (_pool_window, _windows),
    "mul": (_pixels, _binary),
    "pad": (_pad_axis, _pad),
    "resize_nearest_neighbor": (_resize_axis, _resize),
}
