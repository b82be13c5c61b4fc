"""``kernels/conv_outer.c``: CONV_2D of maps and weights below 8 bits by outer products in UMLAL (``core/outer.h``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from quantmcu_kit.numerics.fixedpoint import INT32_MAX
from quantmcu_kit.numerics.packing import packed_bytes
from quantmcu_kit.ops.convolution import Params
from quantmcu_kit.ops.spec import KernelCall
from quantmcu_kit.ops.variants import lanes, outer_fields
from quantmcu_kit.ops.variants.outer_fields import UNIT, Division, Form, Outputs
from quantmcu_kit.ops.variants.variant import Variant

_MAX_ROWS = 127  # of a window, and beyond it: the sum is a byte
_RAISED = 128  # outputs that become bytes are so much higher
_HALVES = (1 << 15) - 1  # outputs are limited two at a time, as signed halfwords
_RING_BYTES = 1 << 11  # words of rows of windows may take this much more than a window's own


class _Finish(IntEnum):
    """``core/outer.h``."""

    NONE = 0
    LINES = 1
    LANES = 2
    STEPS = 3
    BYTES = 6
    STEEP = 7


_FINDS = {  # by bits of weights and outputs
    (4, 4): ((_Finish.LINES, outer_fields.lines), (_Finish.STEEP, outer_fields.steep_lines)),
    (2, 4): ((_Finish.LINES, outer_fields.lines),),
    (2, 2): ((_Finish.STEPS, outer_fields.steps),),
}


@dataclass(frozen=True, eq=False)
class _Plan:
    """What the kernel's constants are made of.

    Attributes:
        weights: of ``outer_fields.in_units``.
        start: D of a piece.
        bias: int64 [channels], of raw inputs.
    """

    form: Form
    weights: np.ndarray
    division: Division
    start: int
    bias: np.ndarray
    finish: _Finish
    constants: np.ndarray | None


def _plan(params: Params) -> _Plan | None:
    """None where the kernel cannot run the layer."""
    if not _is_packed(params):
        return None
    if params.weights.dtype.bits == 4:
        return _plan_of(params, outer_fields.FORM_I4)
    if params.in_dtype.bits == params.requant.dtype.bits == 2:
        plan = _plan_of(params, outer_fields.FORM_I2X4)
        if plan is not None and plan.finish is _Finish.STEPS:
            return plan
    return _plan_of(params, outer_fields.FORM_I2)


def _is_packed(params: Params) -> bool:
    weights = params.weights
    if not (weights.dtype.is_packed and params.in_dtype.is_packed) or weights.zero_point != 0:
        return False
    return weights.values.size > 0 and params.kernel.h <= _MAX_ROWS


def _sums(params: Params, form: Form) -> _Plan | None:
    """A plan in this form but for its outputs; None where a unit does not fit into its fields."""
    weights, requant = params.weights, params.requant
    channels = weights.values.shape[0]
    units = outer_fields.in_units(weights.values.reshape(channels, params.kernel.h * params.kernel.w, -1))
    bias = weights.fold_zero_points(requant.bias, params.in_zero).astype(np.int64)
    units, bias = outer_fields.without_constant_channels(units, requant, bias, weights.max_input)
    found = outer_fields.find_division(units, params.kernel, weights.max_input, form)
    if found is None:
        return None
    division, start = found
    if (np.abs(bias) + start * len(division.sizes) > INT32_MAX).any():
        return None
    return _Plan(form, units, division, start, bias, _Finish.NONE, None)


def _plan_of(params: Params, form: Form) -> _Plan | None:
    """A plan in this form, where there is one."""
    plan = _sums(params, form)
    if plan is None:
        return None
    requant = params.requant
    if len(plan.division.sizes) > 1:
        return replace(plan, constants=_lanes(params, plan, np.ones(len(plan.bias), bool), 0))
    outputs = tuple(outer_fields.outputs(plan.weights, requant, plan.bias, params.weights.max_input, plan.start))
    for finish, find in _FINDS.get((form.bits, requant.dtype.bits), ()):
        constants = find(outputs, len(plan.weights), form)
        if constants is not None:
            return replace(plan, finish=finish, constants=constants)
    kind = _Finish.LANES if (requant.dtype.bits, requant.low, requant.high) == (4, 0, 15) else _Finish.BYTES
    constants = _lines_or_lanes(params, plan, outputs, 0 if kind is _Finish.LANES else _RAISED)
    return plan if constants is None else replace(plan, finish=kind, constants=constants)


def _lines_or_lanes(params: Params, plan: _Plan, outputs: Sequence[Outputs], raised: int) -> np.ndarray | None:
    """int32 [padded channels, LANE_WORDS] of outputs that are so much higher: lines, and lanes of channels without one.

    None where there is neither, or outputs of one piece may be more than halfwords before they are limited.
    """
    requant, channels = params.requant, len(plan.bias)
    lines, is_line = outer_fields.any_lines(outputs, (requant.low, requant.high), raised)
    constants = _lanes(params, plan, ~is_line, raised)
    if constants is not None:
        constants[:channels, :3][is_line] = lines[is_line]
    return constants


def _lanes(params: Params, plan: _Plan, of: np.ndarray, raised: int) -> np.ndarray | None:
    """int32 [padded channels, LANE_WORDS] of channels ``of``, zeros of others; None as above."""
    requant, channels = params.requant, len(plan.bias)
    low, high = outer_fields.limits(plan.weights, channels, params.weights.max_input)
    bounds = np.maximum(np.abs(plan.bias + low), np.abs(plan.bias + high))[of]
    higher = replace(
        requant,
        multiplier=np.broadcast_to(requant.multiplier, channels)[of],
        shift=np.broadcast_to(requant.shift, channels)[of],
        zero_point=requant.zero_point + raised,
        low=requant.low + raised,
        high=requant.high + raised,
    )
    lane = lanes.arrange(higher, (plan.bias - plan.start * len(plan.division.sizes))[of], bounds, has_sign=True)
    if lane is None:
        return None
    if len(plan.division.sizes) == 1:
        _, multiplier, rounds, shift = lane.T.astype(np.int64)
        largest = (bounds * multiplier + (1 << 30) >> 31) + np.abs(rounds) >> shift
        if (shift < 1).any() or (largest >= _HALVES).any():  # lines have a shift of 0
            return None
    constants = np.zeros((len(plan.weights), lanes.LANE_WORDS), np.int32)
    constants[:channels][of] = lane
    return constants


def _requant(params: Params, plan: _Plan) -> tuple[tuple[str, object], ...]:
    """The C struct: with constants the limits, which are used of bytes."""
    if plan.constants is None:
        return params.requant.fields(plan.bias - plan.start * len(plan.division.sizes))
    return tuple(
        (name, None if isinstance(value, np.ndarray) else value) for name, value in params.requant.fields(plan.bias)
    )


def _is_window(params: Params, plan: _Plan) -> bool:
    """Whether rows of the window are three columns that lie side by side (``QMCU_OUTER_WINDOW``)."""
    attrs = params.attrs
    is_one_piece = plan.finish is not _Finish.NONE
    return is_one_piece and (params.kernel.w, attrs.stride.w, attrs.dilation.w) == (3, 1, 1)


def _row_bytes(params: Params, plan: _Plan) -> int:
    """Words of a row of a tile's windows: of two groups of pixels, or of four columns."""
    units = plan.weights.shape[1] // params.kernel.h
    return 4 * UNIT * (units // 3 * 4 if _is_window(params, plan) else units * 2)


def _stored(params: Params, plan: _Plan) -> np.ndarray:
    """The weights in the order in which words are multiplied."""
    weights = plan.weights
    if _is_window(params, plan):
        by_column = weights.reshape(len(weights), params.kernel.h, 3, -1, UNIT)
        weights = by_column.transpose(0, 1, 3, 4, 2).reshape(weights.shape)
    return outer_fields.store(weights, plan.division.sizes, plan.form)


def _rows(params: Params, plan: _Plan) -> int:
    """Rows of prepared words: more than a window has, so that those that stay are moved up seldom."""
    kernel = params.kernel.h
    is_reused = params.attrs.dilation.h == 1 and params.attrs.stride.h < kernel
    return kernel + min(_MAX_ROWS, _RING_BYTES // _row_bytes(params, plan)) if is_reused else kernel


def _scratch_bytes(params: Params, plan: _Plan) -> int:
    """Twin of lay_out in conv_outer.c."""
    groups = len(plan.weights) // 4
    row_units = plan.weights.shape[1] // params.kernel.h
    slots = row_units // plan.division.chunk
    if plan.division.chunk < row_units:
        slots = params.kernel.w * -(-(row_units // params.kernel.w) // plan.division.chunk)
    size = (_row_bytes(params, plan) + 8 * slots) * _rows(params, plan)
    if plan.finish is _Finish.NONE:
        size += 4 * (8 + 8 * plan.form.pixels) * groups
    size += packed_bytes(row_units // params.kernel.w * UNIT, params.in_dtype.bits)
    bits = 8 if plan.finish in (_Finish.BYTES, _Finish.NONE) else params.requant.dtype.bits
    return size + 2 * plan.form.pixels * (groups * bits // 2)


def supports(params: Params) -> bool:
    """Whether inputs and weights are below 8 bits, and sums within what the kernel's fields hold.

    Outputs can always be made, and what fits into the fields of four pixels fits into those of three; so this need not
    look for their constants, which takes long.
    """
    form = outer_fields.FORM_I4 if params.weights.dtype.bits == 4 else outer_fields.FORM_I2
    return _is_packed(params) and _sums(params, form) is not None


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_conv_outer``."""
    plan = _plan(params)
    assert plan is not None, "supports() is asked before"
    kept = [field for field in params.fields() if field[0] not in ("weight_zero", "weights", "requant")]
    fields = (
        *kept,
        ("pixels", plan.form.pixels),
        ("finish", plan.finish),
        ("is_window", _is_window(params, plan)),
        ("rows", _rows(params, plan)),
        ("start", plan.start),
        ("chunk", plan.division.chunk),
        ("chunks", plan.division.chunks),
        ("weights", _stored(params, plan)),
        ("constants", plan.constants),
        ("requant", _requant(params, plan)),
    )
    return (KernelCall("conv_outer", fields, scratch_bytes=_scratch_bytes(params, plan)),)


VARIANT = Variant("conv_outer", ("CONV_2D",), supports, emit)
