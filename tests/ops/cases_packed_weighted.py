"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED with all widths of input, weights and output."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, DType, Padding, Quant, Size
from quantmcu_kit.ops import convolution, fully_connected
from quantmcu_kit.ops.table import TABLE
from tests.ops.packed_case import WIDTHS, PackedCase, case, feature_map, mixtures, random_for

_IN_SCALE = 0.05
_ACTIVATIONS = tuple(Activation)

# Name: map [h, w, in], kernel, output channels (CONV_2D) or outputs per input (DEPTHWISE_CONV_2D), stride, dilation,
# padding on every side.
_CONVOLUTIONS = {
    "1-to-5": ((4, 5, 1), (3, 3), 5, 1, 1, 1),
    "3-to-31-stride2": ((5, 4, 3), (3, 3), 31, 2, 1, 1),
    "5-to-3-dilation2": ((5, 6, 5), (3, 2), 3, 1, 2, 2),
    "8-to-4-rows": ((3, 5, 8), (3, 3), 4, 1, 1, 0),
    "31-to-33-pointwise": ((2, 3, 31), (1, 1), 33, 1, 1, 0),
    "33-to-1-pointwise-stride2": ((3, 4, 33), (1, 1), 1, 2, 1, 0),
    "40-to-40": ((2, 2, 40), (2, 2), 40, 1, 1, 1),
    "4-to-66-pointwise-padded": ((2, 2, 4), (1, 1), 66, 1, 1, 1),
}
_DEPTHWISE = {
    "1": ((4, 5, 1), (3, 3), 1, 1, 1, 1),
    "1-multiplier5": ((4, 3, 1), (2, 3), 5, 1, 1, 1),
    "3-stride2": ((5, 4, 3), (3, 3), 1, 2, 1, 1),
    "5-dilation2-kernel-2x5": ((4, 7, 5), (2, 5), 1, 1, 2, 2),
    "31-kernel-2x4": ((3, 4, 31), (2, 4), 1, 1, 1, 2),
    "33": ((2, 3, 33), (3, 3), 1, 1, 1, 1),
    "40-kernel-1x1": ((2, 2, 40), (1, 1), 1, 1, 1, 0),
    "3-multiplier2": ((3, 3, 3), (3, 3), 2, 1, 1, 1),
    "5-multiplier13": ((2, 3, 5), (2, 2), 13, 1, 1, 1),
    "33-multiplier3-stride2": ((3, 2, 33), (2, 2), 3, 2, 1, 1),
    "33-in-strips": ((4, 14, 33), (3, 3), 1, 1, 1, 1),
    "37-in-strips-stride2-dilation2": ((7, 23, 37), (3, 3), 1, 2, 2, 2),
    "9-multiplier4-in-strips": ((3, 12, 9), (3, 4), 4, 1, 1, 2),
    "6-stride-above-kernel": ((7, 8, 6), (2, 1), 1, 3, 1, 0),
}
# Name: shape behind the batch, inputs of a row, outputs of a row.
_DENSE = {
    "1-to-3": ((1,), 1, 3),
    "5-to-33": ((5,), 5, 33),
    "31-to-5": ((31,), 31, 5),
    "70-to-31": ((70,), 70, 31),
    "map-of-5": ((3, 2, 5), 30, 7),
    "map-of-33": ((2, 2, 33), 132, 40),
    "map-of-8": ((2, 3, 8), 48, 3),
    "four-rows-of-a-vector": ((12,), 3, 3),
    "rows-from-within-pixels": ((1, 4, 3), 4, 5),
    "rows-of-two-pixels": ((2, 3, 5), 10, 1),
}


def _zero(dtype: DType, index: int) -> int:
    """A zero-point: at an end of the type's values or in between."""
    return (dtype.low, dtype.low + 1 + (dtype.high - dtype.low) // 3, dtype.high)[index % 3]


def _constants(
    name: str, shape: tuple[int, ...], axis: int, widths: tuple[int, int, int]
) -> tuple[Tensor, Tensor, float]:
    """Random weights of all their values, bias, and an output scale that sums of their size fill."""
    rng = random_for(name)
    in_bits, bits, out_bits = widths
    dtype = DType.weights(bits)
    values = rng.integers(dtype.low + (bits == 8), dtype.high, shape, endpoint=True).astype(np.int8)
    channels = shape[axis]
    spread = 2**in_bits * 2**bits / 8 * np.sqrt(values.size / channels)
    scales = rng.uniform(0.005, 0.02, channels).astype(np.float32)
    zeros = np.zeros(channels, np.int32)
    bias = rng.integers(-int(spread) - 1, int(spread) + 1, channels).astype(np.int32)
    weights = Tensor("w", shape, dtype, Quant(scales, zeros, axis), values)
    offsets = Tensor("b", (channels,), DType.I32, Quant(scales * np.float32(_IN_SCALE), zeros, 0), bias)
    return weights, offsets, 0.01 * _IN_SCALE * spread * 4 / 2**out_bits


def _convolution(op: str, name: str, geometry: tuple, widths: tuple[int, int, int], index: int) -> PackedCase:
    is_depthwise = op == "DEPTHWISE_CONV_2D"
    size, kernel, out, stride, dilation, margin = geometry
    name = f"{name}-{'-'.join(map(str, widths))}"
    shape = (1, *kernel, size[2] * out) if is_depthwise else (out, *kernel, size[2])
    weights, bias, scale = _constants(f"{op}{name}", shape, 3 if is_depthwise else 0, widths)
    activation = _ACTIVATIONS[index % len(_ACTIVATIONS)]
    attrs = convolution.Attrs(Size(stride, stride), Size(dilation, dilation), Padding(*[margin] * 4), activation)
    x = feature_map("x", (1, *size), widths[0], _IN_SCALE, _zero(DType.feature_map(widths[0]), index))
    out_shape = TABLE[op].infer(attrs, x, weights, bias)
    y = feature_map(
        "y",
        out_shape,
        widths[2],
        scale,
        _zero(DType.feature_map(widths[2]), index // 3 % (3 if attrs.activation is Activation.NONE else 2)),
    )
    return case(name, op, attrs, (x, weights, bias), y)


def _dense(op: str, name: str, geometry: tuple, widths: tuple[int, int, int], index: int) -> PackedCase:
    shape, taps, out = geometry
    name = f"{name}-{'-'.join(map(str, widths))}"
    weights, bias, scale = _constants(f"{op}{name}", (out, taps), 0, widths)
    attrs = fully_connected.Attrs(False, _ACTIVATIONS[index % len(_ACTIVATIONS)])
    x = feature_map("x", (1, *shape), widths[0], _IN_SCALE, _zero(DType.feature_map(widths[0]), index))
    out_shape = TABLE[op].infer(attrs, x, weights, bias)
    y = feature_map(
        "y",
        out_shape,
        widths[2],
        scale,
        _zero(DType.feature_map(widths[2]), index // 3 % (3 if attrs.activation is Activation.NONE else 2)),
    )
    return case(name, op, attrs, (x, weights, bias), y)


_MAKERS = {"CONV_2D": _convolution, "DEPTHWISE_CONV_2D": _convolution, "FULLY_CONNECTED": _dense}
_SHAPES = {"CONV_2D": _CONVOLUTIONS, "DEPTHWISE_CONV_2D": _DEPTHWISE, "FULLY_CONNECTED": _DENSE}


def _cases() -> Iterator[PackedCase]:
    """A third of all mixtures of widths for each shape, in which every two of the three widths meet in all ways."""
    shapes = [(op, *item) for op, of_op in _SHAPES.items() for item in of_op.items()]
    for (turn, (op, name, geometry)), (index, widths) in itertools.product(enumerate(shapes), enumerate(mixtures(3))):
        if (sum(WIDTHS.index(bits) for bits in widths) + turn) % len(WIDTHS) == 0:
            yield _MAKERS[op](op, name, geometry, widths, index)


CASES = tuple(_cases())
LARGE = tuple(  # as large as a network's layers
    _MAKERS[op](op, name, geometry, widths, index=0)
    for op, name, geometry in (
        ("CONV_2D", "96-to-24", ((6, 6, 96), (1, 1), 24, 1, 1, 0)),
        ("CONV_2D", "24-to-144", ((6, 6, 24), (1, 1), 144, 1, 1, 0)),
        ("CONV_2D", "16-to-32", ((6, 6, 16), (3, 3), 32, 1, 1, 1)),
        ("DEPTHWISE_CONV_2D", "48", ((8, 8, 48), (3, 3), 1, 1, 1, 1)),
        ("DEPTHWISE_CONV_2D", "96-stride2", ((11, 11, 96), (3, 3), 1, 2, 1, 1)),
        ("FULLY_CONNECTED", "300-to-50", ((300,), 300, 50)),
    )
    for widths in ((8, 8, 4), (8, 4, 8), (4, 8, 8), (4, 4, 4), (4, 2, 4), (2, 2, 2))
)
