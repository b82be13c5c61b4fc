"""Operators on single values, pools, and what joins or moves values, with all widths of inputs and output."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, DType, Padding, Quant, Size
from quantmcu_kit.ops import (
    average_pool_2d,
    concatenation,
    max_pool_2d,
    mean,
    pad,
    reshape,
    resize_nearest_neighbor,
    softmax,
    squeeze,
    transpose,
)
from quantmcu_kit.ops.binary import Attrs as BinaryAttrs
from quantmcu_kit.ops.pooling import Pool
from quantmcu_kit.ops.spec import NoAttrs
from quantmcu_kit.ops.table import TABLE
from tests.ops.packed_case import WIDTHS, PackedCase, case, feature_map, mixtures, random_for

CHANNELS = (1, 3, 5, 31, 33)
_SPAN = 6.0  # of the real values of a map
_ACTIVATIONS = tuple(Activation)
Shape = tuple[int, ...]


def _map(name: str, shape: Shape, bits: int, index: int = 0, span: float = _SPAN) -> Tensor:
    """A feature map with its zero-point at an end of its type's values or in between, as ``index`` says."""
    dtype = DType.feature_map(bits)
    zero_point = (dtype.low, dtype.low + 1 + (dtype.high - dtype.low) // 3, dtype.high)[index % 3]
    return feature_map(name, shape, bits, float(np.float32(span / (dtype.high - dtype.low))), zero_point)


def _constant(name: str, shape: Shape, index: int) -> Tensor:
    """An operand of 8 bits with random values."""
    values = random_for(f"{name}{shape}{index}").integers(-128, 127, shape, endpoint=True).astype(np.int8)
    return Tensor(name, shape, DType.I8, Quant.per_tensor(0.03, index % 7 - 3), values)


def _carried(x: Tensor, shape: Shape, bits: int, index: int) -> Tensor:
    """An output of an operator that keeps values: like ``x`` where it has its width, now and then."""
    if x.dtype.bits == bits and (bits == 8 or index % 2):
        return Tensor("y", shape, x.dtype, x.quant)
    return _map("y", shape, bits, index // 2, _SPAN / 2)


def _is_due(widths: tuple[int, ...], number: int) -> bool:
    """A third of all mixtures for each number, in which each of the widths, and any two of three, take all values."""
    return (sum(map(WIDTHS.index, widths)) + number) % 3 == 0


def _named(name: str, widths: tuple[int, ...]) -> str:
    return f"{name}-{'-'.join(map(str, widths))}"


# Name: shapes of both operands; an operand whose name stands behind the form is constant.
_OPERANDS: dict[str, tuple[Shape, Shape]] = {
    "maps-of-1": ((1, 3, 4, 1), (1, 3, 4, 1)),
    "maps-of-5": ((1, 3, 4, 5), (1, 3, 4, 5)),
    "maps-of-8": ((1, 3, 4, 8), (1, 3, 4, 8)),
    "maps-of-33": ((1, 2, 3, 33), (1, 2, 3, 33)),
    "channels-of-3": ((1, 4, 3, 3), (1, 1, 1, 3)),
    "channels-first-of-31": ((1, 1, 1, 31), (1, 2, 4, 31)),
    "channels-of-1": ((1, 4, 3, 1), (1, 1, 1, 1)),
    "scalar-with-5": ((1, 3, 2, 5), (1, 1, 1, 1)),
    "scalar-first-with-33": ((1, 1, 1, 1), (1, 3, 2, 33)),
    "vectors-of-31": ((1, 31), (1, 31)),
    "sequences-of-3": ((1, 5, 3), (1, 5, 3)),
    "constant-map-of-5-b": ((1, 3, 4, 5), (1, 3, 4, 5)),
    "constant-channels-of-33-b": ((1, 3, 2, 33), (33,)),
    "constant-channels-first-of-3-a": ((3,), (1, 4, 3, 3)),
    "constant-scalar-with-5-b": ((1, 3, 4, 5), ()),
    "constant-scalar-first-with-3-a": ((1,), (1, 3, 4, 3)),
}


def _binary(op: str, name: str, widths: tuple[int, int, int], index: int) -> PackedCase:
    operands = [
        _constant(of, shape, index) if name.endswith(f"-{of}") else _map(of, shape, bits, index + position)
        for position, (of, shape, bits) in enumerate(zip("ab", _OPERANDS[name], widths, strict=False))
    ]
    attrs = BinaryAttrs(_ACTIVATIONS[index % len(_ACTIVATIONS)])
    y = _map("y", TABLE[op].infer(attrs, *operands), widths[2], index // 3)
    return case(_named(name, widths), op, attrs, tuple(operands), y)


def _binary_cases() -> Iterator[PackedCase]:
    for index, widths in enumerate(mixtures(3)):
        for number, name in enumerate(_OPERANDS):
            constant_bits = {"a": widths[0], "b": widths[1]}.get(name[-1] if name[-2] == "-" else "", 8)
            if _is_due(widths, number) and constant_bits == 8:
                yield _binary("ADD", name, widths, index)
                if number % 2:
                    yield _binary("MUL", name, widths, index)
        if _is_due(widths, 0):
            yield _binary("SUB", "maps-of-5", widths, index)


# Name: map [h, w], window, stride, padding on every side.
_POOLS = {
    "3x3-stride2": ((5, 6), (3, 3), 2, 1),
    "2x2": ((4, 4), (2, 2), 2, 0),
    "global": ((3, 4), (3, 4), 1, 0),
    "2x4-padded": ((3, 3), (2, 4), 1, 1),
}


def _pool_cases() -> Iterator[PackedCase]:
    for index, (widths, channels) in enumerate(itertools.product(mixtures(2), CHANNELS)):
        name, (size, window, stride, margin) = list(_POOLS.items())[index % len(_POOLS)]
        pool = Pool(Size(*window), Size(stride, stride), Padding(*[margin] * 4))
        activation = _ACTIVATIONS[index % len(_ACTIVATIONS)]
        x = _map("x", (1, *size, channels), widths[0], index)
        for op, attrs in (
            ("MAX_POOL_2D", max_pool_2d.Attrs(pool, activation)),
            ("AVERAGE_POOL_2D", average_pool_2d.Attrs(pool, activation, False)),
        ):
            y = _carried(x, TABLE[op].infer(attrs, x), widths[1], index)
            yield case(_named(f"{name}-of-{channels}", widths), op, attrs, (x,), y)


def _table_cases() -> Iterator[PackedCase]:
    for index, (widths, channels) in enumerate(itertools.product(mixtures(2), (*CHANNELS, 16))):
        x = _map("x", (1, 3, 5, channels), widths[0], index)
        y = _map("y", x.shape, widths[1], index // 3, _SPAN / 2)
        yield case(_named(f"of-{channels}", widths), ("QUANTIZE", "RELU6")[index % 2], NoAttrs(), (x,), y)
    for index, widths in enumerate(mixtures(2)):
        x = _map("x", (1, 7), widths[0], index)
        yield case(_named("vector", widths), "RELU", NoAttrs(), (x,), _map("y", x.shape, widths[1], index // 3))
        yield case(_named("vector", widths), "RELU_N1_TO_1", NoAttrs(), (x,), _map("y", x.shape, widths[1], index))
        yield case(_named("vector", widths), "LOGISTIC", NoAttrs(), (x,), _probabilities(x.shape, widths[1]))


def _probabilities(shape: Shape, bits: int) -> Tensor:
    return feature_map("y", shape, bits, 2.0**-bits, DType.feature_map(bits).low)


def _softmax_cases() -> Iterator[PackedCase]:
    for index, (widths, depth) in enumerate(itertools.product(mixtures(2), (*CHANNELS, 70))):
        if not _is_due(widths, index % 6):
            continue
        x = _map("x", (1, 2, 3, depth), widths[0], index, 9.0)
        name = _named(f"of-{depth}", widths)
        yield case(name, "SOFTMAX", softmax.Attrs(1.0), (x,), _probabilities(x.shape, widths[1]))


# Name: axis, shapes of the inputs; the first one is constant where the name says so.
_JOINED = {
    "channels": (3, [(1, 3, 4, 3), (1, 3, 4, 1), (1, 3, 4, 5)]),
    "channels-33": (3, [(1, 2, 3, 33), (1, 2, 3, 31), (1, 2, 3, 2)]),
    "channels-8": (3, [(1, 2, 3, 8), (1, 2, 3, 4), (1, 2, 3, 4)]),
    "rows": (1, [(1, 1, 4, 5), (1, 3, 4, 5), (1, 2, 4, 5)]),
    "columns": (2, [(1, 3, 1, 3), (1, 3, 4, 3), (1, 3, 2, 3)]),
    "columns-33": (2, [(1, 2, 2, 33), (1, 2, 1, 33), (1, 2, 1, 33)]),
    "vectors": (1, [(1, 5), (1, 3), (1, 1)]),
    "sequences": (1, [(1, 4, 3), (1, 1, 3), (1, 2, 3)]),
    "constant-channels": (3, [(1, 3, 4, 3), (1, 3, 4, 1), (1, 3, 4, 5)]),
    "constant-rows": (1, [(1, 1, 4, 5), (1, 3, 4, 5), (1, 2, 4, 5)]),
}


def _concatenation_cases() -> Iterator[PackedCase]:
    for index, (widths, (name, (axis, shapes))) in enumerate(itertools.product(mixtures(3), _JOINED.items())):
        if not _is_due(widths, index % len(_JOINED)):
            continue
        y = _map("y", (1,), widths[2], index)
        inputs = []
        for position, shape in enumerate(shapes):
            bits = (*widths[:2], widths[index % 2])[position]
            is_alike = bits == widths[2] and (bits == 8 or position == 0)
            x = _map(f"x{position}", shape, bits, index + position)
            inputs.append(Tensor(x.name, shape, y.dtype, y.quant) if is_alike else x)
        if name.startswith("constant"):
            if widths[0] != 8:
                continue
            inputs[0] = _constant("x0", shapes[0], index)
            if widths[2] == 8:
                inputs[0] = Tensor("x0", shapes[0], y.dtype, y.quant, inputs[0].data)
        attrs = concatenation.Attrs(axis)
        output = Tensor("y", TABLE["CONCATENATION"].infer(attrs, *inputs), y.dtype, y.quant)
        yield case(_named(name, widths), "CONCATENATION", attrs, tuple(inputs), output)


# Name: shape of the input, axes, whether they stay.
_MEANS = {
    "of-1": ((1, 3, 4, 1), (1, 2), False),
    "of-5": ((1, 3, 4, 5), (1, 2), True),
    "of-33": ((1, 2, 3, 33), (1, 2), False),
    "rows": ((1, 3, 4, 5), (1,), False),
    "rows-of-33": ((1, 3, 2, 33), (1,), True),
    "columns": ((1, 3, 4, 3), (2,), False),
    "channels": ((1, 3, 5, 31), (3,), False),
    "channels-that-stay": ((1, 3, 5, 5), (3,), True),
    "everything": ((1, 3, 2, 5), (1, 2, 3), True),
    "columns-and-channels": ((1, 5, 2, 3), (2, 3), False),
    "sequence": ((1, 7, 3), (1,), False),
}


def _mean_cases() -> Iterator[PackedCase]:
    for index, (widths, (name, (shape, axes, keep))) in enumerate(itertools.product(mixtures(2), _MEANS.items())):
        if not _is_due(widths, index % len(_MEANS)):
            continue
        x, attrs = _map("x", shape, widths[0], index), mean.Attrs(axes, keep)
        y = _map("y", mean.infer(attrs, x), widths[1], index // 3, _SPAN / 2)
        yield case(_named(name, widths), "MEAN", attrs, (x,), y)


# Name: shape of the input, values before and after each axis.
_PADS = {
    "frame-of-1": ((1, 3, 4, 1), (0, 1, 1, 0), (0, 1, 2, 0)),
    "frame-of-5": ((1, 3, 4, 5), (0, 1, 2, 0), (0, 2, 1, 0)),
    "frame-of-33": ((1, 2, 3, 33), (0, 1, 1, 0), (0, 0, 1, 0)),
    "rows-of-8": ((1, 3, 4, 8), (0, 1, 0, 0), (0, 2, 0, 0)),
    "channels-of-3": ((1, 3, 4, 3), (0, 0, 0, 1), (0, 0, 0, 1)),
    "channels-after-31": ((1, 2, 3, 31), (0, 0, 1, 0), (0, 0, 0, 6)),
    "channels-before-5": ((1, 3, 4, 5), (0, 0, 0, 3), (0, 1, 0, 0)),
    "channels-to-whole-bytes": ((1, 3, 2, 5), (0, 0, 0, 2), (0, 0, 0, 1)),
    "sequence": ((1, 4, 3), (0, 1, 0), (0, 2, 5)),
    "vector": ((1, 5), (0, 3), (0, 9)),
}


def _moved_cases() -> Iterator[PackedCase]:
    for index, widths in enumerate(mixtures(2)):
        for number, (op, name, attrs, shape) in enumerate(_moves(index)):
            if not _is_due(widths, number):
                continue
            x = _map("x", shape, widths[0], number)
            y = _carried(x, TABLE[op].infer(attrs, x), widths[1], number)
            yield case(_named(name, widths), op, attrs, (x,), y)


def _moves(index: int) -> Iterator[tuple[str, str, object, Shape]]:
    """Operator, name, attributes and input shape of the ways to move values that are due for a mixture of widths."""
    for name, (shape, before, after) in _PADS.items():
        yield "PAD", name, pad.Attrs(before, after), shape
    for number, channels in enumerate(CHANNELS, index):
        height, width = ((6, 8), (7, 3), (2, 2))[number % 3]
        attrs = resize_nearest_neighbor.Attrs(Size(height, width), False, height == 7)
        yield "RESIZE_NEAREST_NEIGHBOR", f"{height}x{width}-of-{channels}", attrs, (1, 3, 4, channels)
    for number, order in enumerate(itertools.permutations((1, 2, 3)), index):
        height, width, channels = ((3, 4, 5), (2, 1, 33))[number % 2]
        name = f"{''.join(map(str, order))}-of-{channels}"
        yield "TRANSPOSE", name, transpose.Attrs((0, *order)), (1, height, width, channels)
    yield "TRANSPOSE", "sequence", transpose.Attrs((0, 2, 1)), (1, 7, 3)
    for name, shape, out in (
        ("flatten-1", (1, 3, 4, 1), (1, 12)),
        ("flatten-5", (1, 3, 3, 5), (1, 45)),
        ("flatten-33", (1, 2, 2, 33), (1, 132)),
        ("flatten-8", (1, 3, 3, 8), (1, 72)),
        ("anchors", (1, 2, 3, 12), (1, 18, 4)),
        ("unflatten", (1, 70), (1, 2, 5, 7)),
        ("same-pixels", (1, 2, 6, 5), (1, 12, 5)),
    ):
        yield "RESHAPE", name, reshape.Attrs(out), shape
    yield "SQUEEZE", "of-5", squeeze.Attrs((1, 2)), (1, 1, 1, 5)
    yield "SQUEEZE", "channels", squeeze.Attrs((3,)), (1, 3, 5, 1)


CASES = (
    *_binary_cases(),
    *_pool_cases(),
    *_table_cases(),
    *_softmax_cases(),
    *_concatenation_cases(),
    *_mean_cases(),
    *_moved_cases(),
)
