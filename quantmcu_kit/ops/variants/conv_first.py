"""CONV_2D with windows of three by three pixels of three channels: ``kernels/conv_first.c``."""

from __future__ import annotations

import numpy as np

from quantmcu_kit.ir.types import Size
from quantmcu_kit.ops.convolution import Params
from quantmcu_kit.ops.spec import KernelCall
from quantmcu_kit.ops.variants import lanes, pairs
from quantmcu_kit.ops.variants.variant import Variant

_WORD_BYTES = 4
_RUN = 9  # values of a row of the window
_TAPS = 27
_PAIRS = 8  # PAIRS of conv_first.c
_NEST = 8  # also of narrower weights: there are few
_FIELDS = ("in", "out", "stride", "pad", "in_zero")  # that this kernel has as conv_2d does


def _order() -> np.ndarray:
    """Which value of a window [row, column, channel] each lane of the column holds, in the order of runs by fours."""
    quads = [row * _RUN + first + value for row in range(3) for first in (0, 4) for value in range(4)]
    ends = [row * _RUN + _RUN - 1 for row in range(3)]
    return np.array([*quads, ends[2], ends[0], -1, ends[1]])  # the words of four are (k, k + 2) and (k + 1, k + 3)


def supports(params: Params) -> bool:
    """Whether windows are 3x3x3, sums of nested channels can be told apart, and lanes have requantization's form."""
    params = lanes.enlarged(params)
    is_first = params.kernel == Size(3, 3) and params.in_shape[3] == 3 and params.attrs.dilation == Size(1, 1)
    return is_first and pairs.fits(params.weights, _NEST) and lanes.of_layer(params) is not None


def emit(params: Params) -> tuple[KernelCall, ...]:
    """One ``qmcu_conv_first``."""
    kept = params.fields()
    params = lanes.enlarged(params)
    requant, weights = params.requant, params.weights
    order, values = _order(), weights.values.reshape(len(weights.values), _TAPS)
    arranged = np.where(order >= 0, values[:, order], 0)
    channels = -(-len(values) // pairs.GROUP) * pairs.GROUP
    fields = (
        *(field for field in kept if field[0] in _FIELDS),
        ("low", requant.low),
        ("high", requant.high),
        ("is_rectified", int(lanes.is_rectified(requant))),
        *pairs.arranged(params, pairs.nested(arranged, _NEST), _NEST),
    )
    columns = _PAIRS if pairs.lines_of(params) is not None else 1
    outputs = 0 if pairs.is_direct(params) else _PAIRS
    scratch = 2 * (columns * _WORD_BYTES * pairs.run_words(_TAPS) + _TAPS + outputs * channels)
    return (KernelCall("conv_first", fields, scratch_bytes=scratch),)


VARIANT = Variant("conv_first", ("CONV_2D",), supports, emit)
