"""What a kernel call does, counted: how often each part of its loops runs. Geometry decides it, values do not.

The portable kernels are here, the others in ``native_work.py``. Counts are named as their cycles in ``cycles.toml``:
whoever changes a kernel's loops changes its function here and runs ``make bench-latency``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import numpy as np

from quantmcu_kit.emit import native_work
from quantmcu_kit.emit.binary_work import binary
from quantmcu_kit.ops.spec import KernelCall

Work = Mapping[str, float]  # how often, by what is done

CHANNEL_BLOCK = 32  # QMCU_CHANNEL_BLOCK of quantmcu_config.h: accumulators taken together
_ROWS_TOGETHER = 4  # of matvec_s8_ref.c
_TAPS_TOGETHER = 3  # of depthwise_s8_ref.c
_MAXIMA_TOGETHER = 8  # of native/cortexm_dsp/max_s8.c
_POINTERS, _STRIP_POINTERS = 8, 9  # TAPS and STRIP_TAPS of depthwise_conv_2d.c
# Below 8 bits, in counts of the same kernel at 8 bits, as measured on a Cortex-M4; they are not in the table:
_PAIR_TAP = {4: 0.91, 2: 0.77}  # of single_taps: an input with weights of so many bits in two rows
_ODD_TAP = 1.5  # of single_taps: an input with a weight that shares its byte with nothing
_PAIR, _ODD_ROW = 0.25, 0.7  # of outputs: a row of packed weights, and what lies in no whole byte of it
_PACKED_BLOCK, _STRIP_ROW = 1.9, 0.6  # of blocks: one with packed weights, a row of input in a strip
_PACKED_OUTPUT = 0.09  # of outputs: one that is packed
_UNPACKED = 0.3  # of summed: an input that is unpacked
_PIECE, _ADDED_PIECE = 1.2, 0.4  # of blocks, outputs: some unpacked inputs whose products fully-connected adds up
_STRIP_BLOCK, _STRIP_OUTPUT, _STRIP_TAP = 0.83, 0.1, 0.85  # of blocks, outputs, taps of a depthwise convolution
_STRIP_VALUE, _SPREAD_VALUE = 0.42, 1.2  # of single_products: one that is unpacked, and one that several outputs read
WORD, _COPY_BLOCK = 4, 16  # bytes: what memory functions move at a time


def work_of(call: KernelCall) -> Work:
    """The counts of one kernel call."""
    return {"calls": 1, **KERNELS[call.kernel](read(call.fields), call)}


def read(fields: tuple) -> SimpleNamespace:
    """A parameter struct by the C names of its fields, ``input`` for ``in``."""
    return SimpleNamespace(
        **{
            "input" if name == "in" else name: read(value) if isinstance(value, tuple) else value
            for name, value in fields
        }
    )


def total_of(*parts: Work) -> Work:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return total


def places(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """int64 [4, 4]: how many of these copies read and write at each place within a word; offsets in bytes."""
    source, target = np.broadcast_arrays(source, target)
    index = (source.ravel() % WORD) * WORD + target.ravel() % WORD
    return np.bincount(index, minlength=WORD * WORD).reshape(WORD, WORD)


def steps(count: int, source: int, target: int) -> np.ndarray:
    """:func:`places` of ``count`` copies, each further on than the last by so many bytes."""
    step = np.arange(WORD)  # places repeat after a word's bytes
    repeats = (count + WORD - 1 - step) // WORD
    total = np.zeros((WORD, WORD), np.int64)
    np.add.at(total, (step * source % WORD, step * target % WORD), repeats)
    return total


def each(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """:func:`places` of the copies ``inner`` from each of the places ``outer`` on."""
    shifts = np.ndindex(WORD, WORD)
    return sum(outer[shift] * np.roll(inner, shift, (0, 1)) for shift in shifts)


def copies(size: int, at: np.ndarray) -> Work:
    """``memcpy`` of ``size`` bytes, once for each of the :func:`places` ``at``.

    A long copy begins with single bytes up to a whole word of its target. Where the source then lies across words
    ("shifted"), it is slower, and goes byte by byte on a core without unaligned accesses.
    """
    count = int(at.sum())
    if not count or not size:
        return {}
    if size < _COPY_BLOCK:
        return {"copies": count, "copied_bytes": count * size}
    work = Counter({"copies": count, "long_copies": count})
    for (source, target), times in np.ndenumerate(at):
        blocks, words, singles = _parts(size, target)
        kind = "copied" if source == target else "shifted"
        work.update({f"{kind}_blocks": int(times) * blocks, f"{kind}_words": int(times) * words})
        work["copied_bytes"] += int(times) * singles
    return +work


def fills(size: int, at: np.ndarray) -> Work:
    """``memset`` of ``size`` bytes at each target of the :func:`places` ``at``."""
    count = int(at.sum())
    if not count or not size:
        return {}
    if size < _COPY_BLOCK:
        return {"fills": count, "filled_bytes": count * size}
    work = Counter({"fills": count, "long_fills": count})
    for target, times in enumerate(at.sum(axis=0)):
        blocks, words, singles = _parts(size, target)
        words += blocks * (_COPY_BLOCK // WORD)
        work.update({"filled_words": int(times) * words, "filled_bytes": int(times) * singles})
    return +work


def _parts(size: int, target: int) -> tuple[int, int, int]:
    """Blocks, words and single bytes of a run of ``size`` bytes that begins at that byte of a word."""
    lead = -target % WORD
    blocks, rest = divmod(size - lead, _COPY_BLOCK)
    words, tail = divmod(rest, WORD)
    return blocks, words, lead + tail


def _blocks(channels: int) -> int:
    return -(-channels // CHANNEL_BLOCK)


def _inside(image: int, out: int, window: int, stride: int, before: int, step: int = 1) -> np.ndarray:
    """int64 [out]: taps of each window along one axis that lie within the image."""
    start = np.arange(out) * stride - before
    first = np.clip(-(start // step), 0, window)
    end = np.clip(-((start - image) // step), 0, window)
    return end - first


def products(vectors: int, taps: int, channels: int, weight_zero: int, weight_bits: int = 8, pieces: int = 1) -> Work:
    """Vectors of ``taps`` values, taken in so many pieces, times a matrix, requantized."""
    blocks = vectors * _blocks(channels)
    if weight_bits < 8:
        odd = taps % (8 // weight_bits)
        pair_taps = vectors * -(-channels // 2) * (taps - odd)
        row = 1 + pieces * _PAIR + (_ODD_ROW if odd else 0)
        return {
            "vectors": vectors,
            "blocks": blocks * (1 + pieces * _PACKED_BLOCK),
            "summed": blocks * taps,
            "single_taps": pair_taps * _PAIR_TAP[weight_bits] + vectors * channels * odd * _ODD_TAP,
            "outputs": vectors * channels * row,
        }
    quads, singles = divmod(channels, _ROWS_TOGETHER)
    work = {
        "vectors": vectors,
        "blocks": blocks,
        "quads": vectors * quads,
        "quad_taps": vectors * quads * taps,
        "singles": vectors * singles,
        "single_taps": vectors * singles * taps,
        "outputs": vectors * channels,
    }
    if weight_zero:
        work |= {"summed": vectors * taps, "corrected": vectors * channels}
    return work


def _packing(in_bits: int, unpacked: float, out_bits: int, outputs: float) -> Work:
    """What packed maps add to :func:`products`: values of the input that are unpacked, outputs that are packed."""
    work = {"summed": unpacked * _UNPACKED} if in_bits < 8 else {}
    return work | {"outputs": outputs * _PACKED_OUTPUT} if out_bits < 8 else work


def _conv_2d(k: SimpleNamespace, call: KernelCall) -> Work:
    pixels, taps = k.out.h * k.out.w, k.kernel.h * k.kernel.w * k.input.c
    work = total_of(
        products(pixels, taps, k.out.c, k.weight_zero, k.weight_bits),
        _packing(k.input.bits, pixels * taps, k.out.bits, pixels * k.out.c),
    )
    return total_of(work, _gathered(k)) if call.scratch_bytes else work


def _gathered(k: SimpleNamespace) -> Work:
    """``gather_row`` of conv_2d.c for every row of every window: rows copied whole, padded whole, or tap by tap."""
    channels, width = k.input.c, k.input.w
    pitch, offset = getattr(k, "pitch", width * channels), getattr(k, "offset", 0)  # in bytes; of the view, in a part
    run = k.kernel.w * channels
    row = np.arange(k.kernel.h)
    y = np.arange(k.out.h)[:, None] * k.stride.h - k.pad.top + row * k.dilation.h  # [out.h, kernel.h]
    window = np.broadcast_to(row * run, y.shape)
    in_image = (y >= 0) & (y < k.input.h)
    rows = places(y[in_image] * pitch + offset, window[in_image])
    rows_of_padding = places(np.zeros(1, np.int64), window[~in_image])

    x = np.arange(k.out.w) * k.stride.w - k.pad.left
    whole = (x >= 0) & (x + k.kernel.w <= width) if k.dilation.w == 1 else np.zeros(k.out.w, np.bool_)
    tap = np.arange(k.kernel.w)
    tap_x = x[~whole][:, None] + tap * k.dilation.w  # [split windows, kernel.w]
    tap_target = np.broadcast_to(tap * channels, tap_x.shape)
    in_row = (tap_x >= 0) & (tap_x < width)
    taps = places(tap_x[in_row] * channels, tap_target[in_row])
    taps_of_padding = places(np.zeros(1, np.int64), tap_target[~in_row])
    return total_of(
        {"rows": k.out.w * y.size, "split_rows": int(rows.sum()) * np.count_nonzero(~whole)},
        {"split_taps": int(rows.sum()) * tap_x.size},
        copies(run, each(rows, places(x[whole] * channels, np.zeros(1, np.int64)))),
        copies(channels, each(rows, taps)),
        fills(run, rows_of_padding * k.out.w),
        fills(channels, each(rows, taps_of_padding)),
    )


def _depthwise_conv_2d(k: SimpleNamespace, call: KernelCall) -> Work:
    pixels, channels = k.out.h * k.out.w, k.out.c
    blocks = pixels * _blocks(channels)
    taps = k.kernel.h * k.kernel.w
    outputs = pixels * channels * (1 if k.out.bits == 8 else 1 + _PACKED_OUTPUT)
    corrected = {"corrected_taps": blocks * taps, "corrected": pixels * channels * taps} if k.weight_zero else {}
    if call.scratch_bytes:
        outputs += pixels * channels * _STRIP_OUTPUT
        return total_of(
            {"pixels": pixels, "blocks": blocks * _STRIP_BLOCK, "taps": blocks * taps * _STRIP_TAP, "outputs": outputs},
            _accumulated(blocks, pixels * channels, taps, _STRIP_POINTERS),
            _strips(k),
            corrected,
        )
    inside = (
        _inside(k.input.h, k.out.h, k.kernel.h, k.stride.h, k.pad.top, k.dilation.h).sum()
        * _inside(k.input.w, k.out.w, k.kernel.w, k.stride.w, k.pad.left, k.dilation.w).sum()
    )
    work = {
        "pixels": pixels,
        "blocks": blocks,
        "rows": blocks * k.kernel.h,
        "taps": inside * _blocks(channels),
        "taps_of_padding": blocks * taps - inside * _blocks(channels),
        "outputs": outputs,
    }
    if k.multiplier != 1:
        macs = pixels * channels * taps
        return work | {"spread": macs, "spread_inputs": macs / k.multiplier}
    rows = _accumulated(blocks * k.kernel.h, pixels * channels * k.kernel.h, k.kernel.w, _POINTERS)
    return work | rows | corrected


def _accumulated(blocks: int, channels: int, taps: int, pointers: int) -> Work:
    """``taps`` taps added to each of so many blocks, with so many channels in all."""
    pieces = [min(pointers, taps - first) for first in range(0, taps, pointers)]
    triples = sum(piece // _TAPS_TOGETHER for piece in pieces)
    singles = sum(piece % _TAPS_TOGETHER for piece in pieces)
    return {
        "pieces": blocks * len(pieces),
        "triples": blocks * triples,
        "triple_products": channels * triples,
        "singles": blocks * singles,
        "single_products": channels * singles,
    }


def _strips(k: SimpleNamespace) -> Work:
    """``fill_row`` and ``load_weights`` of depthwise_conv_2d.c."""
    height, width = (k.kernel.h - 1) * k.dilation.h + 1, (k.kernel.w - 1) * k.dilation.w + 1
    rows = (k.out.h - 1) * min(k.stride.h, height) + height
    whole, rest = divmod(k.out.w, k.strip)
    columns = whole * ((k.strip - 1) * k.stride.w + width) + ((rest - 1) * k.stride.w + width if rest else 0)
    strips = (whole + (rest > 0)) * _blocks(k.out.c)
    inputs = rows * columns * k.out.c * (_STRIP_VALUE if k.multiplier == 1 else _SPREAD_VALUE)
    weights = k.kernel.h * k.kernel.w * k.out.c * _STRIP_VALUE if k.weight_bits < 8 else 0
    return {"blocks": rows * strips * _STRIP_ROW, "single_products": inputs + weights}


def _fully_connected(k: SimpleNamespace, call: KernelCall) -> Work:
    outputs = k.rows * k.out
    pieces = _blocks(k.input) if k.in_bits < 8 else 1
    return total_of(
        products(k.rows, k.input, k.out, k.weight_zero, k.weight_bits, pieces),
        _packing(k.in_bits, k.rows * k.input * _blocks(k.out), k.out_bits, outputs),
        _added_pieces(k, pieces) if k.in_bits < 8 else {},
    )


def _added_pieces(k: SimpleNamespace, pieces: int) -> Work:
    return {"blocks": k.rows * _blocks(k.out) * pieces * _PIECE, "outputs": k.rows * k.out * pieces * _ADDED_PIECE}


def _windows(k: SimpleNamespace) -> tuple[int, int]:
    """Rows and pixels of all of a pooling layer's windows that lie within the image."""
    rows = int(_inside(k.input.h, k.out.h, k.window.h, k.stride.h, k.pad.top).sum())
    columns = int(_inside(k.input.w, k.out.w, k.window.w, k.stride.w, k.pad.left).sum())
    return rows * k.out.w, rows * columns


def _average_pool_2d(k: SimpleNamespace, call: KernelCall) -> Work:
    pixels, blocks, (rows, taps) = k.out.h * k.out.w, _blocks(k.out.c), _windows(k)
    return {
        "pixels": pixels,
        "blocks": pixels * blocks,
        "rows": rows * blocks,
        "taps": taps * blocks,
        "summed": taps * k.out.c,
        "outputs": pixels * k.out.c,
    }


def _max_pool_2d(k: SimpleNamespace, call: KernelCall) -> Work:
    pixels, (rows, taps) = k.out.h * k.out.w, _windows(k)
    work = {"pixels": pixels, "rows": rows, "taps": taps, "compared": taps * k.out.c, "outputs": pixels * k.out.c}
    if k.out.c % _MAXIMA_TOGETHER:
        work["compared_singly"] = taps * (k.out.c % _MAXIMA_TOGETHER)
    return total_of(work, fills(k.out.c, steps(pixels, 0, k.out.c)))


def _mean(k: SimpleNamespace, call: KernelCall) -> Work:
    blocks = k.outer * _blocks(k.inner)
    return {
        "vectors": k.outer,
        "blocks": blocks,
        "taps": blocks * k.count,
        "summed": k.outer * k.count * k.inner,
        "outputs": k.outer * k.inner,
    }


def _lookup(k: SimpleNamespace, call: KernelCall) -> Work:
    return {"outputs": k.count}


def _softmax(k: SimpleNamespace, call: KernelCall) -> Work:
    # Values that lie too far below the largest have no exponential; their share is that of evenly spread values.
    exponentials = 1 + (k.depth - 1) * k.count / 256
    return {"rows": k.rows, "outputs": k.rows * k.depth, "exponentials": k.rows * exponentials}


def _concatenation(k: SimpleNamespace, call: KernelCall) -> Work:
    if k.table is not None:
        return {"rows": k.rows, "looked_up": k.rows * k.row}
    first = places(np.zeros(1, np.int64), np.array([k.out_offset]))
    return total_of({"rows": k.rows}, copies(k.row, each(first, steps(k.rows, k.row, k.out_row))))


def _pad(k: SimpleNamespace, call: KernelCall) -> Work:
    whole_rows = k.input.c == k.out.c
    run = k.input.c * (k.input.w if whole_rows else 1)
    runs = 1 if whole_rows else k.input.w  # of an input row
    before = (k.before.h * k.out.w + k.before.w) * k.out.c + k.before.c
    first = places(np.zeros(1, np.int64), np.array([before]))
    rows = each(first, steps(k.input.h, runs * run, k.out.w * k.out.c))
    return total_of(
        {"rows": k.input.h, "runs": k.input.h * runs},
        fills(k.out.h * k.out.w * k.out.c, steps(1, 0, 0)),
        copies(run, each(rows, steps(runs, run, k.out.c))),
    )


def _reshape(k: SimpleNamespace, call: KernelCall) -> Work:
    runs = sum(
        k.count // channels for channels, bits in ((k.in_channels, k.in_bits), (k.out_channels, k.out_bits)) if bits < 8
    )
    unpacked, packed = (k.count if bits < 8 else 0 for bits in (k.in_bits, k.out_bits))
    return {"blocks": _blocks(k.count), "runs": runs, "outputs": k.count, "unpacked": unpacked, "packed": packed}


def _resize_nearest_neighbor(k: SimpleNamespace, call: KernelCall) -> Work:
    pixel, row_bytes = k.out.c, k.out.w * k.out.c
    y = np.arange(k.out.h)
    again = np.concatenate([[False], k.rows[1:] == k.rows[:-1]])
    repeated, fresh = y[again] * row_bytes, y[~again] * row_bytes
    pitch = getattr(k, "pitch", k.input.w * pixel)
    rows = places(k.rows[~again].astype(np.int64) * pitch, fresh)
    columns = places(k.columns.astype(np.int64) * pixel, np.arange(k.out.w) * pixel)
    return total_of(
        {"rows": fresh.size, "repeated_rows": repeated.size, "pixels": fresh.size * k.out.w},
        copies(row_bytes, places(repeated - row_bytes, repeated)),
        copies(pixel, each(rows, columns)),
    )


def _transpose(k: SimpleNamespace, call: KernelCall) -> Work:
    pixels = k.out.h * k.out.w
    return {"rows": k.out.h, "pixels": pixels, "outputs": pixels * k.out.c}


KERNELS: Mapping[str, Callable[[SimpleNamespace, KernelCall], Work]] = {
    "add": binary,
    "average_pool_2d": _average_pool_2d,
    "concatenation": _concatenation,
    "conv_2d": _conv_2d,
    "depthwise_conv_2d": _depthwise_conv_2d,
    "fully_connected": _fully_connected,
    "lookup": _lookup,
    "max_pool_2d": _max_pool_2d,
    "mean": _mean,
    "mul": binary,
    "pad": _pad,
    "reshape": _reshape,
    "resize_nearest_neighbor": _resize_nearest_neighbor,
    "softmax": _softmax,
    "transpose": _transpose,
    **native_work.KERNELS,
}
