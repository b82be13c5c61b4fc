"""Weights nested in pairs of 16-bit lanes, as ``core/pairs.h`` of the C runtime has them: bounds and arrangement.

A word of a column is two values of the window; a word of weights meets it lane by lane. A lane holds one weight of two
(nest 8) or four (nest 4) output channels, each with a factor; the sum over lanes is the sum of the channels' sums times
their factors. Channels below are summed by themselves and taken off, exact modulo 2^32 while factor · |sum| < 2^31.
"""

from __future__ import annotations

import numpy as np

from quantmcu_kit.ops.convolution import Params as ConvolutionParams
from quantmcu_kit.ops.variants import lanes, lines
from quantmcu_kit.ops.weighted import Weights

GROUP = 4  # output channels of a tile
ROW_GROUP = 8  # output channels of a row
ROW_HEAD_WORDS = 8  # before the words of one column
_SUM_BITS = {8: (30, 23, 30, 23), 4: (30, 27, 23, 19)}  # of the channels of a group; 30: of any sum (see lanes.py)


def run_words(values: int) -> int:
    """Words of a column that a run of so many values takes."""
    return (values + 1) // 2


def row_words(values: int) -> int:
    """Words of a column on its own."""
    return (values + 3) // 4 * 2


def row_channels(out: int, nest: int) -> int:
    """Output channels of one column with those that fill groups up."""
    whole, each = (out + 1) // ROW_GROUP * ROW_GROUP, 4 if nest == 4 else 2
    return max(whole, -(-out // each) * each)


def nest_of(weights: Weights) -> int | None:
    """Bits by which the weights of channels are nested: 4, 8, or None where neither is exact."""
    nests = (4, 8) if weights.dtype.is_packed else (8,)
    return next((nest for nest in nests if fits(weights, nest)), None)


def fits(weights: Weights, nest: int) -> bool:
    """Whether weights nested by so many bits fit into lanes, and sums of channels can be told apart."""
    if weights.zero_point != 0:
        return False
    x = 128 if weights.max_input == 255 else weights.max_input  # the most that |x| as it is stored can be
    sums = _grouped(weights.magnitude * x, GROUP)
    values = _grouped(weights.values.reshape(len(weights.values), -1), GROUP).astype(np.int32)
    if nest == 4 and (values.min() < -8 or values.max() > 7):  # see lanes.enlarged
        return False
    lanes_fit = values[:, 2] > -8 if nest == 4 else values[:, 1::2] * 256 + values[:, ::2] >= -(1 << 15)
    return bool(np.all(lanes_fit)) and bool(np.all(sums < np.int64(1) << np.array(_SUM_BITS[nest], np.int64)))


def nested(weights: np.ndarray, nest: int) -> np.ndarray:
    """int32 [groups, words, words of weights per word of a column]: the order of ``qmcu_tiles_t``.

    Args:
        weights: integers [out, values of a window in the order in which columns hold them].
        nest: from :func:`nest_of`.
    """
    words = _words(_in_lanes(weights), nest, GROUP)
    each = GROUP * nest // 16  # words of a group beside one another
    return words.reshape(-1, each, words.shape[1]).swapaxes(1, 2)


def is_direct(params: ConvolutionParams) -> bool:
    """Whether outputs go into the map as tiles give them: no clamp, no packing, no channel too many."""
    requant = params.requant
    is_whole = (requant.low, requant.high) == (-128, 127)
    return requant.dtype.bits == 8 and is_whole and params.out_shape[3] % GROUP == 0


def arranged(params: ConvolutionParams, words: np.ndarray, nest: int) -> tuple[tuple[str, np.ndarray | None], ...]:
    """Fields ``weights`` and ``lanes`` of a layer, by lines where they are exact.

    Args:
        words: from :func:`nested`.
    """
    line = lines_of(params) if nest == 8 else None
    if line is not None:
        return ("weights", with_lines(words, line)), ("lanes", None)
    return ("weights", words), ("lanes", padded(lanes.of_layer(params), GROUP * len(words)))


def lines_of(params: ConvolutionParams) -> np.ndarray | None:
    """int32 [channels, 2]: bias and multiplier of outputs that are lines of the sums times 256, or None."""
    weights, requant = params.weights, params.requant
    raw = weights.magnitude * max(abs(params.in_dtype.low), params.in_dtype.high)  # of sums of x·w
    bias = weights.fold_zero_points(requant.bias, params.in_zero)
    return lines.of_factor(requant, bias, lanes.accumulator_bounds(weights, requant), raw, 256)


def with_lines(words: np.ndarray, line: np.ndarray) -> np.ndarray:
    """int32 [groups, words + 8]: nested weights of 8 bits, and lines of the channels where they are needed."""
    line = _grouped(line, GROUP)
    ends = np.stack([line[:, ::2, 0], line[:, ::2, 1], line[:, 1::2, 1]], axis=2)  # [groups, 2, 3]
    groups = len(words)
    return np.concatenate([line[:, 1::2, 0], words.reshape(groups, -1), ends.reshape(groups, -1)], axis=1)


def nested_rows(weights: Weights, nest: int) -> np.ndarray:
    """int32, flat: weights [out, in] in the order of ``qmcu_rows_t``."""
    out, taps = weights.values.shape
    arranged = _in_lanes(weights.values)
    arranged = np.pad(arranged, ((0, 0), (0, row_words(taps) - arranged.shape[1]), (0, 0)))
    words = _words(arranged, nest, ROW_GROUP)
    each = ROW_GROUP * nest // 16
    whole = (out + 1) // ROW_GROUP * each
    groups = words[:whole].reshape(-1, each, words.shape[1]).swapaxes(1, 2)
    rest = words[whole : row_channels(out, nest) * nest // 16]
    return np.concatenate([groups.reshape(-1), rest.reshape(-1)])


def padded(lanes: np.ndarray, channels: int) -> np.ndarray:
    """Requantization of whole groups; that of channels that are not there is zero."""
    return np.pad(lanes, ((0, channels - len(lanes)), (0, 0)))


def _in_lanes(weights: np.ndarray) -> np.ndarray:
    """int32 [channels, words, 2] of weights [channels, values]; a lane without a value is zero."""
    order = _lane_order(weights.shape[1])
    return np.where(order >= 0, weights[:, order], 0).astype(np.int32)


def _lane_order(values: int) -> np.ndarray:
    """int [words, 2]: which value of a run each lane holds, -1 for none."""
    whole = values // 4 * 4
    quads = np.arange(whole).reshape(-1, 2, 2).swapaxes(1, 2).reshape(-1, 2)
    rest = {0: [], 1: [(whole, -1)], 2: [(whole, whole + 1)], 3: [(whole, whole + 2), (whole + 1, -1)]}[values % 4]
    return np.concatenate([quads, np.array(rest, int).reshape(-1, 2)]).astype(int)


def _words(lanes: np.ndarray, nest: int, group: int) -> np.ndarray:
    """int32 [words of channels, words]: weights [channels, words, lane] nested by channels that follow one another.

    Channels are filled up with zeros to whole groups.
    """
    channels = _grouped(lanes, 16 // nest)
    channels = np.pad(channels, ((0, -len(channels) % (group * nest // 16)), *((0, 0),) * 3))
    if nest == 8:
        both = channels[:, 1] * 256 + channels[:, 0]
    else:
        both = channels[:, 3] * 4096 + (channels[:, 2] + 8) * 256 + channels[:, 1] * 16 + channels[:, 0] + 8
    assert both.min() >= -(1 << 15) and both.max() < 1 << 15, "lanes are 16 bits wide"
    return ((both[..., 0] & 0xFFFF) | (both[..., 1] & 0xFFFF) << 16).astype(np.uint32).view(np.int32)


def _grouped(of_channels: np.ndarray, group: int) -> np.ndarray:
    """[groups, group, ...] of an array whose first axis is the output channel, padded with zeros."""
    rest = -len(of_channels) % group
    whole = np.pad(of_channels, ((0, rest), *((0, 0) for _ in of_channels.shape[1:])))
    return whole.reshape(-1, group, *of_channels.shape[1:])
