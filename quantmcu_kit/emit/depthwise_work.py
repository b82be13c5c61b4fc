"""What the depthwise kernels of ``ops.variants`` do, counted; ``native_work.py`` has the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import SimpleNamespace

from quantmcu_kit.ir.types import Size
from quantmcu_kit.ops.spec import KernelCall

Counts = Mapping[str, float]

GROUP = 4  # output channels that all native kernels take together
POLY = {"kernel": Size(3, 3), "stride": Size(1, 1)}  # always, of depthwise_poly.c
_ROWS_OF_THREE = 6  # ROWS of depthwise_planes.c


def groups_of(channels: int) -> int:
    """Groups of output channels, the last one filled up."""
    return -(-channels // GROUP)


def depthwise_planes(k: SimpleNamespace, call: KernelCall) -> Counts:
    """``depthwise_planes.c``: strips of four channels; two rows of the input at a time are widened once per strip."""
    whole_map, k = k, _turned(k)
    blocks, channels = groups_of(k.out.c), k.out.c
    pairs = k.kernel.h // 2 + 1  # of rows in a window
    is_three = k.kernel.w == 3 and pairs == 2 and k.stride.h == k.stride.w <= 2
    words = pairs * k.kernel.w
    widths = [min(k.strip, k.out.w - left) for left in range(0, k.out.w, k.strip)]
    strips = len(widths)
    columns = k.out.w * k.stride.w + strips * (k.kernel.w - k.stride.w)
    seen = min(columns, k.input.w + (strips - 1) * max(k.kernel.w - k.stride.w, 0))
    together = _ROWS_OF_THREE // k.stride.h if is_three else 1
    widened = _row_pairs(k, together)
    outputs, rows = k.out.h * k.out.w * channels, k.out.h * strips
    form = "line" if k.form == 0 else "twice"
    is_limited = (k.low, k.high) != ((-128, 127) if k.out.bits == 8 else (0, (1 << k.out.bits) - 1))
    is_staged = k.out.bits < 8 or is_limited
    whole = channels // GROUP if k.out.bits < 8 and not is_limited else 0  # blocks that are stored fast
    is_quick = is_three and k.kernel.h == 3 and k.weight_bits == 8 and k is whole_map
    weights = "quick_weights_3" if is_quick else "weights_3" if is_three else "weights"
    return {
        "blocks": blocks,
        weights: channels if is_three else 2 * (4 + words) * channels,
        "unpacked": k.kernel.h * k.kernel.w * channels if k.weight_bits < 8 else 0,
        "strips": blocks * strips,
        "row_pairs": blocks * strips * widened,
        f"widened_{k.input.bits}": blocks * seen * widened,
        "filled": blocks * (columns - seen) * widened,
        "groups" if is_three else "rows": blocks * strips * -(-k.out.h // together),
        f"outputs_{form}": 0 if is_three else outputs,
        **(_threes(k, widths, form, together) if is_three else _fours(k, widths, channels * k.out.h, words)),
        "staged_rows": blocks * rows if is_staged else 0,
        "staged_fast": whole * k.out.h * k.out.w,
        "staged_8" if k.out.bits == 8 else "staged": (blocks - whole) * k.out.h * k.out.w if is_staged else 0,
    }


def _threes(k: SimpleNamespace, widths: Sequence[int], form: str, together: int) -> Counts:
    """Rows of windows of three columns, some together: some outputs in turns, the others one or two at a time."""
    kind, channels = f"{form}_{k.stride.w}", k.out.c
    in_turn = 2 if k.stride.w == 2 else 8 if form == "line" else 3
    rows = channels * k.out.h
    return {
        f"group_channels_{form}": channels * len(widths) * -(-k.out.h // together),
        f"rows_{kind}": rows * len(widths),
        f"turns_{kind}": rows * sum(width // in_turn for width in widths),
        f"outputs_{kind}": rows * sum(widths),
    }


def _turned(k: SimpleNamespace) -> SimpleNamespace:
    """A map twice as high as wide is turned: its columns are taken for rows."""
    if k.out.h < 2 * k.out.w or (k.kernel.h, k.stride.h) != (k.kernel.w, k.stride.w):
        return k
    pad = SimpleNamespace(top=k.pad.left, left=k.pad.top)
    image, out = (SimpleNamespace(h=each.w, w=each.h, c=each.c, bits=each.bits) for each in (k.input, k.out))
    return SimpleNamespace(**vars(k) | {"input": image, "out": out, "pad": pad})


def _fours(k: SimpleNamespace, widths: Sequence[int], rows: int, words: int) -> Counts:
    """Rows of outputs of any windows: four at a time, of some windows the last ones again."""
    total: Counter[str] = Counter()
    for width in widths:
        is_known = k.kernel.w == k.kernel.h and k.kernel.w in (5, 7) and k.stride.w in (1, 2) and width >= 4
        kind = f"_{k.kernel.w}_{k.stride.w}" if is_known else ""
        fours, ones = (-(-width // 4), 0) if is_known else divmod(width, 4)
        total.update({f"rows{kind or '_any'}": rows, f"fours{kind}": rows * fours})
        total.update({f"four_words{kind}": rows * fours * words})
        if not is_known:
            total.update({"ones": rows * ones, "one_words": rows * ones * words})
    return total


def _row_pairs(k: SimpleNamespace, together: int) -> int:
    """Pairs of rows that a strip widens, some rows of outputs at a time: each once, but where the ring begins anew."""
    spare = 15  # SPARE of depthwise_planes.c
    count = top = ready = 0
    for first in range(0, k.out.h, together):
        y, last = first * k.stride.h, (min(first + together, k.out.h) - 1) * k.stride.h
        if (y - top) // 2 > spare:
            top, ready = y, 0
        end = max(ready, -(-(last - top + k.kernel.h) // 2))
        count, ready = count + end - ready, end
    return count


def depthwise_poly(k: SimpleNamespace, call: KernelCall) -> Counts:
    """``depthwise_poly.c``: strips of eight channels; words of a row are made once, rows of outputs in twos."""
    k = _turned(SimpleNamespace(**{**POLY, **vars(k)}))
    blocks, channels, before = -(-k.out.c // 8), k.out.c, 2
    in_word = {4: 3, 2: 4}[k.input.bits]
    strips = -(-k.out.w // k.strip)
    is_row = k.out.w <= k.strip and k.pad.left == 1 and k.out.w % in_word == 0
    words = k.out.w // in_word if is_row else strips * -(-(min(k.strip, k.out.w) + before) // in_word)
    twos, ones = divmod(k.out.h, 2)
    turns = twos + ones
    rows = k.out.h + 2 + 2 * (k.out.h // 16)  # as many again where the ring begins anew
    inside = max(0, min(k.input.h + k.pad.top, rows) - k.pad.top)
    edges = 0 if is_row else strips * (2 + (k.pad.left > 0))
    whole = channels // 8
    bits = k.input.bits
    return {
        "blocks": blocks,
        "channels": channels,
        "strips": blocks * strips,
        "rows": blocks * rows * strips,
        "edges": blocks * inside * edges,
        f"words_{bits}": blocks * inside * words,
        "filled": blocks * (rows - inside) * words,
        "turns": blocks * turns * strips,
        "channel_turns": channels * turns * strips,
        f"products_{bits}": channels * twos * words,
        f"single_products_{bits}": channels * ones * words,
        "stores": blocks * k.out.h * strips,
        f"stored_{k.out.bits}": whole * k.out.h * k.out.w,
        "stored_rest": (blocks - whole) * k.out.h * k.out.w,
    }
