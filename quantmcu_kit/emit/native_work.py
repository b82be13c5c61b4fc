"""What the kernels of ``ops.variants`` do, counted; ``work.py`` has the portable ones and tells how counts are used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace

import numpy as np

from quantmcu_kit.emit.binary_work import binary_table
from quantmcu_kit.emit.depthwise_work import GROUP, POLY, Counts, depthwise_planes, depthwise_poly, groups_of
from quantmcu_kit.ir.types import Size
from quantmcu_kit.ops.spec import KernelCall

# Of kernels that have no fields for it, because it is always the same.
FIXED = {
    "conv_first": {"kernel": Size(3, 3), "dilation": Size(1, 1)},
    "depthwise_poly": POLY,
}

_FIRST_PAIRS = 8  # PAIRS of conv_first.c
_HELD_PAIRS = 4  # QMCU_HELD_PAIRS of held.h
STEPS = {8: 11, 4: 12}  # of the loops in tiles_s8.c and tiles_s4.c, by the bits of a nested weight
LINE_STEPS, SHORT_WORDS = 12, 14  # of the loop in tiles_line.c, and columns that need none


def _is_direct(k: SimpleNamespace) -> bool:
    """Whether outputs go into the map as they are: no clamp, no packing, no channel too many."""
    return k.out.bits == 8 and (k.low, k.high) == (-128, 127) and k.out.c % GROUP == 0


def _conv_first(k: SimpleNamespace, call: KernelCall) -> Counts:
    """``conv_first.c``: pairs of pixels go on from row to row; both are gathered if a window leaves the input."""

    def inside(image: int, out: int, stride: int, before: int) -> np.ndarray:
        start = np.arange(out) * stride - before
        return (start >= 0) & (start + 3 <= image)

    rows = inside(k.input.h, k.out.h, k.stride.h, k.pad.top)
    columns = inside(k.input.w, k.out.w, k.stride.w, k.pad.left)
    whole = np.outer(rows, columns).ravel()
    pairs = (whole.size + 1) // 2
    order = np.arange(2 * pairs).clip(max=whole.size - 1)  # an odd last pixel is its own partner
    at_edge = pairs - int(whole[order].reshape(pairs, 2).all(axis=1).sum()) if k.input.bits == 8 else pairs
    groups = groups_of(k.out.c)
    blocks = int(rows.sum()) * -(-int(columns.sum()) // (2 * _FIRST_PAIRS)) if k.input.bits == 8 else 0
    calls = at_edge + blocks if k.lanes is None else 0
    return {
        "rows": k.out.h,
        "pairs": pairs,
        "line_calls": calls,
        "line_group_calls": calls * groups,
        "edges" if k.input.bits == 8 else f"edges_{k.input.bits}": at_edge,
        "groups" if k.lanes is not None else "line_groups": pairs * groups,
        "signed_groups": 0 if k.is_rectified else pairs * groups,
        **_staged(k, at_edge + blocks),
    }


def _conv_pairs(k: SimpleNamespace, call: KernelCall) -> Counts:
    """``conv_pairs.c``: pointwise, or in strips of ``2 * k.strip`` columns of the output."""
    groups, taps = groups_of(k.out.c), k.kernel.h * k.kernel.w
    words = (taps * k.input.c + 1) // 2
    bits = "" if k.nest == 8 else "_s4"
    work = _pixel_pairs(k, bits) if k.strip == 0 else _strip_pairs(k, bits, words)
    pairs = sum(count for name, count in work.items() if name.startswith("pairs"))
    stores = work.pop("stores", pairs)
    if k.lanes is None:
        calls = pairs
        if k.strip == 0 and k.input.bits == 8:
            del work["pairs_of_pixels"]
            runs = _line_runs(k)
            stores = calls = pairs - sum(runs) + sum(-(-run // k.moves) for run in runs)
            work |= {"line_pairs": sum(runs), "lone_pairs": pairs - sum(runs), "rows": len(runs)}
        turns = (words - 2) // LINE_STEPS if words > SHORT_WORDS else 0  # beyond the first one
        return {
            **work,
            "line_calls": calls,
            "line_group_calls": calls * groups,
            "line_groups": pairs * groups,
            "line_turns": pairs * groups * turns,
            "steps": pairs * groups * words,
            **_staged(k, stores),
        }
    return {
        **work,
        f"groups{bits}": pairs * groups,
        "signed_groups": 0 if k.is_rectified else pairs * groups,
        f"turns{bits}": pairs * groups * -(-(words - 1) // STEPS[k.nest]),  # of the loop over a column
        f"steps{bits}": pairs * groups * words,
        **_staged(k, stores),
    }


def _widened(runs: int, values: int, bits: str) -> Counts:
    """So many runs of two windows that become words."""
    return {
        f"runs{bits}": runs,
        f"widened{bits}": runs * ((values + 1) // 2),
        "rests": runs if values % 4 else 0,
    }


def _fetched(k: SimpleNamespace, runs: int, values: int) -> Counts:
    """Runs of packed values that are unpacked first."""
    return {"fetches": runs, f"fetched_{k.input.bits}": runs * values} if k.input.bits < 8 else {}


def _pixel_pairs(k: SimpleNamespace, bits: str) -> Counts:
    pixels = k.out.h * k.out.w
    pairs = (pixels + 1) // 2
    return {
        "rows": k.out.h,
        "pairs_of_pixels": pairs,
        "stores": -(-pairs // _HELD_PAIRS) if k.input.bits == 8 else pairs,
        **_widened(pairs, k.input.c, bits),
        **_fetched(k, pixels, k.input.c),
    }


def _line_runs(k: SimpleNamespace) -> Sequence[int]:
    """Pairs of pixels that ``multiply_lines`` takes at a time: of a whole map, or of a row."""
    if (k.stride.h, k.stride.w) == (1, 1) and not hasattr(k, "pitch"):
        return (k.out.h * k.out.w // 2,)
    return tuple((k.out.w - k.out.w % 2 * (y % 2)) // 2 for y in range(k.out.h))  # an odd pixel waits for the next row


def _strip_pairs(k: SimpleNamespace, bits: str, words: int) -> Counts:
    channels, height = k.input.c, k.kernel.h
    whole, step = k.stride.h % k.dilation.h == 0, k.stride.h // k.dilation.h
    fresh = step if whole and step < height else height  # rows of a window that the one above does not have
    rows = height + (k.out.h - 1) * fresh
    moves = (k.out.h - 1) // (k.moves + 1) if fresh < height else 0
    is_widened = channels % 4 == 0 and k.dilation.w == 1
    total: Counter[str] = Counter()
    for left in range(0, k.out.w, 2 * k.strip):
        pixels = min(2 * k.strip, k.out.w - left)
        count = ((pixels + 1) // 2 * 2 - 1) * k.stride.w + (k.kernel.w - 1) * k.dilation.w + 1
        first = left * k.stride.w - k.pad.left
        is_copied = k.input.bits < 8 or first < 0 or first + count > k.input.w
        total.update({"strips": 1, "rows": k.out.h, "fresh_rows": rows})
        total.update({"copied_rows": rows * is_copied, "copied": rows * count * channels * is_copied})
        total.update(_fetched(k, rows, count * channels))
        if is_widened:
            pairs = k.out.h * ((pixels + 1) // 2)
            total.update(_widened(rows * (count - k.stride.w), channels, bits))
            total.update({"stores": k.out.h * -(-pixels // (2 * _HELD_PAIRS))})
            total.update({"pairs_widened": pairs, "moved": moves * 4 * (count - k.stride.w) * height * channels})
            total.update({"summed": pairs * height * k.kernel.w if k.nest == 4 else 0})
        else:
            pairs = (k.out.h * pixels + 1) // 2
            kind = f"_{channels}" if channels in (1, 3) else ""
            total.update({f"scattered{kind}": rows * count})
            if not kind:
                pieces = {"scattered_words": channels // 4, "scattered_bytes": channels % 4}
                total.update({name: rows * count * each for name, each in pieces.items()})
            total.update({"stores": pairs})
            total.update({"pairs_of_bytes": pairs, "moved": moves * count * height * channels})
            total.update(_widened(pairs, height * k.kernel.w * channels, bits))
            total.update({"gathered": pairs * 4 * words if k.dilation.w > 1 else 0})
    return total


def _staged(k: SimpleNamespace, stores: int) -> Counts:
    """Outputs that do not go into the map as they are: so many times those of several pixels, which may be one run."""
    if _is_direct(k):
        return {}
    pixels = k.out.h * k.out.w
    is_clamped = (k.low, k.high) != (-128, 127)
    return {
        "stores": stores,
        "staged_pixels": 0 if k.out.c % GROUP == 0 else pixels,
        "staged": pixels * k.out.c,
        "clamped": pixels * k.out.c if is_clamped else 0,
        "packed": pixels * k.out.c if k.out.bits < 8 else 0,
    }


def _fully_connected_pairs(k: SimpleNamespace, call: KernelCall) -> Counts:
    """``fully_connected_pairs.c``: groups of eight outputs, and smaller ones behind them."""
    groups, each = (k.out + 1) // 8, 4 if k.nest == 4 else 2
    rest = -(-max(k.out - 8 * groups, 0) // each)
    words = (k.input + 3) // 4 * 2
    is_direct = k.out_bits == 8 and (k.low, k.high) == (-128, 127) and 8 * groups + each * rest == k.out
    bits = "" if k.nest == 8 else "_s4"
    return {
        f"rows{bits}": k.rows,
        f"widened{bits}": k.rows * words,
        "unpacked": k.rows * k.input if k.in_bits < 8 else 0,
        f"groups{bits}": k.rows * groups,
        f"turns{bits}": k.rows * groups * -(-(words - 1) // 16),
        f"steps{bits}": k.rows * groups * words,
        f"small_groups{bits}": k.rows * rest,
        f"small_steps{bits}": k.rows * rest * words,
        "staged": 0 if is_direct else k.rows * k.out,
        "packed": k.rows * k.out if k.out_bits < 8 else 0,
    }


def _fully_connected_fields(k: SimpleNamespace, call: KernelCall) -> Counts:
    """``fully_connected_fields.c``: groups of eight outputs, one of four behind them; two words of a column a step."""
    fours = groups_of(k.out)
    groups, rest = divmod(fours, 2)
    units = -(-k.input // 8)
    segments = -(-units // k.segment)
    turns = (segments - 1) * -(-k.segment // 2) + -(-(units - (segments - 1) * k.segment) // 2)
    is_direct = k.out_bits == 8 and (k.low, k.high) == (-128, 127) and 4 * fours == k.out
    return {
        "rows": k.rows,
        "segments": k.rows * segments,
        f"units_{k.in_bits}": k.rows * units,
        "groups": k.rows * groups,
        "group_segments": k.rows * groups * segments,
        "turns": k.rows * groups * turns,
        "steps": k.rows * groups * 2 * units,
        "small_groups": k.rows * rest,
        "small_segments": k.rows * rest * segments,
        "small_steps": k.rows * rest * 2 * units,
        "staged": 0 if is_direct else k.rows * k.out,
        "packed": k.rows * k.out if k.out_bits < 8 else 0,
    }


def _fully_connected_few(k: SimpleNamespace, call: KernelCall) -> Counts:
    """``fully_connected_few.c``: pairs of outputs, words of eight or sixteen values."""
    pairs, together = k.rows * -(-k.out // 2), 32 // k.in_bits
    return {
        "rows": k.rows,
        "pairs": pairs,
        f"words_{k.in_bits}": pairs * (k.input // together),
        "rests": pairs if k.input % together else 0,
        "outputs": k.rows * k.out,
        "packed": k.rows * k.out if k.out_bits < 8 else 0,
    }


def _conv_outer(k: SimpleNamespace, call: KernelCall) -> Counts:
    """``conv_outer.c``: tiles of four, six or eight pixels; outside of 1x1 kernels they go down in columns."""
    tile, groups, taps = 2 * k.pixels, groups_of(k.out.c), k.kernel.h * k.kernel.w
    form = f"{k.weight_bits}_{k.pixels}"
    run_bytes = -(-k.input.c * k.input.bits // 8)
    in_units, has_rest = -(-run_bytes // k.input.bits), run_bytes % k.input.bits != 0
    chunks = -(-in_units // k.chunk)
    slots = chunks if k.chunk > in_units or k.kernel.w == 1 else k.kernel.w * chunks
    prepared = f"prepared_{k.input.bits}_{k.pixels}"
    is_pointwise = taps == 1 and k.pad.top == k.pad.left == 0
    has_bytes = k.finish == 6 or (k.finish == 0 and k.constants is not None)
    is_all = k.out.bits == 8 and (k.requant.low, k.requant.high) == (-128, 127)
    is_direct = k.out.c % GROUP == 0 and k.finish != 0 and (is_all or not has_bytes)
    columns = -(-k.out.w // tile)
    tiles = columns * k.out.h
    again = max(0, k.kernel.h - k.stride.h) if k.dilation.h == 1 else 0
    rows = k.kernel.h + (k.out.h - 1) * (k.kernel.h - again)  # of windows, prepared for a column of tiles
    if is_pointwise:
        tiles = -(-k.out.h * k.out.w // tile)
        is_run = not has_rest and slots == 1 and is_direct
        work = {"tiles": tiles, prepared: 2 * tiles * in_units, "pixel_calls": 0 if is_run else tiles}
    elif k.is_window:
        work = {
            "column_tiles": tiles,
            "window_rows": columns * rows,  # four calls each
            "rest_calls": 4 * columns * rows if has_rest else 0,
            prepared: 4 * columns * rows * in_units,
        }
    else:
        first = np.arange(0, k.out.w, tile) * k.stride.w - k.pad.left
        last = np.minimum(np.arange(0, k.out.w, tile) + tile - 1, k.out.w - 1) * k.stride.w - k.pad.left
        fits = not has_rest and slots == 1 and k.dilation.w == 1
        runs = int(((first >= 0) & (last + k.kernel.w <= k.input.w)).sum()) if fits else 0
        work = {
            "column_tiles": tiles,
            "row_calls": runs * rows,
            "pixel_calls": (columns - runs) * rows * k.kernel.w,
            prepared: 2 * columns * rows * k.kernel.w * in_units,
        }
    pieces = -(-k.kernel.h * slots // k.chunks) if k.finish == 0 else 1
    units = (k.kernel.h if k.is_window else taps) * in_units  # a window's unit has three columns
    kind = "window_units" if k.is_window else "units"
    return {
        **work,
        f"groups_{int(k.finish)}_{form}": tiles * groups * pieces,
        f"{kind}_{form}": tiles * groups * units,
        f"turns_{form}": 0 if k.is_window else tiles * groups * -(-units // 3),
        "odd_turns": tiles * groups if units % 3 and not k.is_window else 0,
        "pieces": tiles * pieces if k.finish == 0 else 0,
        "added": tiles * pieces * tile * 4 * groups if k.finish == 0 else 0,
        "requantized": k.out.h * k.out.w * k.out.c if k.finish == 0 and not has_bytes else 0,
        "bytes": tiles * tile * 4 * groups if k.finish == 0 and has_bytes else 0,
        "copied_pixels": 0 if is_direct or has_bytes or k.finish == 0 else k.out.h * k.out.w,
        "stored_pixels": 0 if is_direct or not has_bytes else k.out.h * k.out.w,
        "stored": 0 if is_direct or not has_bytes else k.out.h * k.out.w * k.out.c,
    }


KERNELS: Mapping[str, Callable[[SimpleNamespace, KernelCall], Counts]] = {
    "binary_table": binary_table,
    "conv_first": _conv_first,
    "conv_outer": _conv_outer,
    "conv_pairs": _conv_pairs,
    "depthwise_planes": depthwise_planes,
    "depthwise_poly": depthwise_poly,
    "fully_connected_few": _fully_connected_few,
    "fully_connected_fields": _fully_connected_fields,
    "fully_connected_pairs": _fully_connected_pairs,
}
