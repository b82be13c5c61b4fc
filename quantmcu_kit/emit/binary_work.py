"""What kernels of two operands do, counted; ``work.py`` tells how counts are used."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

from quantmcu_kit.ops.spec import KernelCall

Counts = Mapping[str, float]

_BLOCK = 64  # BLOCK of binary.c and add_runs_ref.c
_TOGETHER = 8  # of lookup_pairs_ref.c and pack_ref.c
_WORD = 4  # values of add_s8.c
_MOST_SHIFT = 28  # of add_sums.h
_LOOPS = ((8, 8, 4), (4, 8, 4), (4, 8, 8))  # of add_runs.c, by the bits of both operands and the output
_LIMITS = {8: (-128, 127), 4: (0, 15)}


def binary(k: SimpleNamespace, call: KernelCall) -> Counts:
    """``add.c`` or ``mul.c`` of a whole map."""
    walk = k.walk
    if not _is_packed(walk):
        return {"rows": walk.rows, **_outputs(k, call, walk.rows, walk.columns)}
    values = walk.rows * walk.columns
    is_one = walk.rows == 1 and _is_dense(walk)
    return _packed(k, call, *((1, values) if is_one else (values // walk.channels, walk.channels)))


def binary_part(k: SimpleNamespace, call: KernelCall, rows: int, columns: int) -> Counts:
    """The same of a part of so many pixels."""
    walk = k.walk
    is_spread = walk.rows > 1 and 0 in (walk.a_stride, walk.b_stride)  # one value per channel meets pixel after pixel
    is_single = is_spread or not _is_dense(walk)
    runs, length = (rows * columns, walk.channels) if is_single else (rows, columns * walk.channels)
    of_runs = _packed if _is_packed(walk) else _outputs
    return {"part_rows": rows, "part_runs": runs, **of_runs(k, call, runs, length)}


def _is_packed(walk: SimpleNamespace) -> bool:
    return min(walk.a_bits, walk.b_bits, walk.out_bits) < 8


def _is_dense(walk: SimpleNamespace) -> bool:
    """Whether no pixel of a map leaves bits of its last byte to nobody."""
    return all(walk.channels * bits % 8 == 0 for bits in (walk.a_bits, walk.b_bits, walk.out_bits))


def _packed(k: SimpleNamespace, call: KernelCall, runs: int, length: int) -> Counts:
    """Runs in blocks that are unpacked and packed."""
    walk, values, blocks = k.walk, runs * length, runs * -(-length // _BLOCK)
    unpacked, packed = (sum(bits < 8 for bits in each) for each in ((walk.a_bits, walk.b_bits), (walk.out_bits,)))
    odd_values = runs * (length % _TOGETHER) * (unpacked + packed)
    if _is_mixed(k, call):  # blocks and odd values are what matters where there are no such loops
        return {
            "mixed_runs": runs,
            "mixed_blocks": blocks,
            "_".join(map(str, ("mixed", *_widths(walk)))): values,
            "mixed_odd": odd_values,
            "mixed_rests": runs if length % _WORD else 0,
        }
    return {
        "packed_runs": runs,
        "packed_blocks": blocks,
        "unpacked": values * unpacked,
        "packed": values * packed,
        "odd_values": odd_values,
        **_outputs(k, call, runs, length),
    }


def _widths(walk: SimpleNamespace) -> tuple[int, ...]:
    return (*sorted((walk.a_bits, walk.b_bits)), walk.out_bits)


def _is_mixed(k: SimpleNamespace, call: KernelCall) -> bool:
    """Whether ``native/cortexm_dsp/add_runs.c`` has a loop for these maps, some of them packed."""
    walk = k.walk
    is_scalar = walk.rows > 1 and walk.columns == 1
    if call.kernel != "add" or is_scalar or _widths(walk) not in _LOOPS:
        return False
    return (k.scaling.low, k.scaling.high) == _LIMITS[walk.out_bits] and k.scaling.sign > 0 and _has_room(k.scaling)


def _has_room(scaling: SimpleNamespace) -> bool:
    shift = -scaling.shift
    return 0 < shift <= _MOST_SHIFT and abs(scaling.zero_point) <= 1 << (29 - shift)


def _outputs(k: SimpleNamespace, call: KernelCall, runs: int, length: int) -> Counts:
    """Of sums, what ``native/cortexm_dsp/add_s8.c`` leaves to the portable loop is "limited"."""
    if call.kernel != "add":
        return {"outputs": runs * length}
    s = k.scaling
    rest = length % _WORD if s.sign > 0 and _has_room(s) else length
    clamped = 0 if (s.low, s.high) == (-128, 127) else runs * (length - rest)
    return {
        "outputs": runs * (length - rest),
        **({"clamped": clamped} if clamped else {}),
        **({"limited_outputs": runs * rest, "limited_runs": runs} if rest else {}),
    }


def binary_table(k: SimpleNamespace, call: KernelCall) -> Counts:
    """``binary_table.c`` of a whole map."""
    return _table_runs(k, 1, k.pixels)


def binary_table_part(k: SimpleNamespace, call: KernelCall, rows: int, columns: int) -> Counts:
    """The same of a part of so many pixels."""
    return _table_runs(k, rows, columns)


def _table_runs(k: SimpleNamespace, rows: int, pixels: int) -> Counts:
    """Rows of pixels, that are one run where all maps have as many places in a pixel."""
    places = {-(-k.channels * bits // 8) * 8 // bits for bits in (k.a_bits, k.b_bits, k.out_bits)}
    runs, length = (rows, pixels * places.pop()) if len(places) == 1 else (rows * pixels, k.channels)
    whole, rest = divmod(-(-length // k.together), _TOGETHER)
    rule = k.rule
    kind = "" if rule.a_bits == rule.b_bits == rule.entry_bits == 4 else f"_{rule.entry_bits}"
    return {"runs": runs, f"eights{kind}": runs * whole, "rests": runs if rest else 0}
