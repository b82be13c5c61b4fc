"""Depthwise kernels beside the portable one against the Python integer reference, whole and in parts of odd layout.

The reference itself is held to definitions in tests/property/test_subbyte.py. Bits of a pixel that no channel has are
ones in inputs and ignored in outputs.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, DType, Padding, Quant, Size
from quantmcu_kit.ops import convolution
from quantmcu_kit.ops.interpret import Interpreter, prepare_node
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.ops.variants import VARIANTS
from tests.ops.packed_case import PackedCase, case, feature_map, random_for
from tests.support.c_program import CProgram
from tests.support.kernel_parts import KernelParts, random_jobs

OP = "DEPTHWISE_CONV_2D"
IN_SCALE = 0.05
PICTURES = 3
# Map [h, w, channels], kernel, stride, padding (top, bottom, left, right).
SHAPES = {
    "3x3": ((6, 7, 8), (3, 3), (1, 1), (1, 1, 1, 1)),
    "3x3-tail-of-channels": ((5, 9, 7), (3, 3), (1, 1), (1, 1, 1, 1)),
    "3x3-tail-of-1": ((3, 4, 9), (3, 3), (1, 1), (1, 1, 1, 1)),
    "3x3-valid": ((5, 6, 6), (3, 3), (1, 1), (0, 0, 0, 0)),
    "3x3-stride2": ((9, 10, 11), (3, 3), (2, 2), (0, 1, 0, 1)),
    "3x3-stride-2x1": ((7, 5, 5), (3, 3), (2, 1), (1, 1, 1, 1)),
    "3x3-stride-1x2": ((4, 8, 5), (3, 3), (1, 2), (1, 1, 0, 1)),
    "3x3-stride3": ((8, 8, 10), (3, 3), (3, 3), (1, 0, 1, 0)),
    "3x3-in-strips": ((4, 70, 4), (3, 3), (1, 1), (1, 1, 1, 1)),
    "3x3-many-rows": ((41, 3, 13), (3, 3), (1, 1), (1, 1, 1, 1)),
    "3x3-tall": ((25, 5, 9), (3, 3), (1, 1), (1, 1, 1, 1)),
    "3x3-tall-stride2": ((17, 6, 5), (3, 3), (2, 2), (0, 1, 1, 2)),
    "5x5-tall": ((19, 4, 6), (5, 5), (1, 1), (2, 1, 3, 2)),
    "3x3-1-row": ((1, 6, 8), (3, 3), (1, 1), (1, 1, 1, 1)),
    "3x3-1-pixel": ((1, 1, 16), (3, 3), (1, 1), (1, 1, 1, 1)),
    "3x3-wide-padding": ((2, 3, 8), (3, 3), (1, 1), (4, 3, 5, 2)),
    "5x5": ((7, 6, 8), (5, 5), (1, 1), (2, 2, 2, 2)),
    "5x5-stride2": ((9, 9, 5), (5, 5), (2, 2), (1, 2, 1, 2)),
    "7x7": ((7, 8, 6), (7, 7), (1, 1), (3, 3, 3, 3)),
    "7x7-stride2": ((8, 9, 4), (7, 7), (2, 2), (2, 3, 3, 3)),
    "2x2": ((4, 5, 5), (2, 2), (1, 1), (0, 1, 0, 1)),
    "2x3": ((5, 5, 6), (2, 3), (1, 1), (0, 1, 1, 1)),
    "4x3-stride2": ((8, 7, 6), (4, 3), (2, 1), (1, 1, 1, 1)),
    "1x1": ((3, 4, 9), (1, 1), (1, 1), (0, 0, 0, 0)),
    "1x4": ((3, 6, 5), (1, 4), (1, 2), (0, 0, 1, 2)),
    "6x1": ((9, 3, 5), (6, 1), (1, 1), (2, 3, 0, 0)),
}
WIDTHS = (8, 4, 2)
# How sums are clamped: activation, place of the output's zero-point (0: lowest value, 1: highest).
OUTPUTS = {
    "clamped": (Activation.RELU, 0.0),
    "signed": (Activation.NONE, 0.45),
    "relu6": (Activation.RELU6, 0.0),
    "inner": (Activation.RELU, 0.3),
}


def make(name: str, widths: tuple[int, int, int], output: str, kernel: str) -> PackedCase:
    """A layer of random weights whose output range the sums fill and sometimes leave."""
    size, window, stride, margin = SHAPES[name]
    in_bits, weight_bits, out_bits = widths
    label = f"{kernel}-{name}-{'-'.join(map(str, widths))}-{output}"
    rng = random_for(label)
    shape, channels = (1, *window, size[2]), size[2]
    dtype, out_dtype, in_dtype = DType.weights(weight_bits), DType.feature_map(out_bits), DType.feature_map(in_bits)
    values = rng.integers(dtype.low, dtype.high, shape, endpoint=True).astype(np.int8)
    scales = rng.uniform(0.004, 0.02, channels).astype(np.float32)
    zeros = np.zeros(channels, np.int32)
    spread = 2**in_bits * 2**weight_bits / 12 * np.sqrt(window[0] * window[1])
    bias = rng.integers(-int(spread) - 1, int(spread) + 1, channels).astype(np.int32)
    weights = Tensor("w", shape, dtype, Quant(scales, zeros, 3), values)
    offsets = Tensor("b", (channels,), DType.I32, Quant(scales * np.float32(IN_SCALE), zeros, 0), bias)
    activation, place = OUTPUTS[output]
    attrs = convolution.Attrs(Size(*stride), Size(1, 1), Padding(*margin), activation)
    in_zero = int(rng.integers(in_dtype.low, in_dtype.high, endpoint=True))
    x = feature_map("x", (1, *size), in_bits, IN_SCALE, in_zero)
    out_zero = out_dtype.low + round(place * (out_dtype.high - out_dtype.low))
    scale = 0.012 * IN_SCALE * spread * (4 if place else 2) / 2**out_bits
    scale = 9.0 / 2**out_bits if output == "relu6" else scale
    y = feature_map("y", TABLE[OP].infer(attrs, x, weights, offsets), out_bits, scale, out_zero)
    made = case(label, OP, attrs, (x, weights, offsets), y)
    (node,) = made.graph.nodes
    return PackedCase(made.name, made.graph.replace(nodes=(dataclasses.replace(node, kernel=kernel),)))


def cases(kernel: str) -> Iterator[PackedCase]:
    """Shapes, widths and clamps that a kernel supports, such that every two of them meet; all at 8 bits."""
    for index, name in enumerate(SHAPES):
        for turn, widths in enumerate(itertools.product(WIDTHS, repeat=3)):
            outputs = [list(OUTPUTS)[(index + turn) % len(OUTPUTS)]]
            if kernel == "depthwise_poly":
                outputs.append("clamped")
            elif widths == (8, 8, 8):
                outputs = list(OUTPUTS)
            elif (turn + index) % 5:
                continue
            for output in dict.fromkeys(outputs):
                made = make(name, widths, output, kernel)
                (node,) = made.graph.nodes
                if VARIANTS[kernel].supports(prepare_node(made.graph, node)):
                    yield made


KERNELS = [name for name, variant in VARIANTS.items() if OP in variant.ops]
CASES = [made for kernel in KERNELS for made in cases(kernel)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> CProgram:
    return CProgram([made.graph for made in CASES], tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> KernelParts:
    return KernelParts([made.graph for made in CASES], tmp_path_factory.mktemp("parts"))


def reference(made: PackedCase, pictures: list[np.ndarray]) -> np.ndarray:
    return Interpreter(made.graph, integer=True).run({"x": pictures[0]})["y"]


def test_every_shape_runs_at_8_bits():
    names = {str(made).rpartition("-8-8-8-")[0] for made in CASES if "-8-8-8-" in str(made)}
    assert len(names) == len(SHAPES)


def test_products_of_polynomials_run_all_narrow_widths():
    found = {tuple(str(made).split("-")[-4:-1]) for made in CASES if "depthwise_poly" in str(made)}
    assert found == {(x, w, y) for x in "42" for w in "42" for y in "842"}


@pytest.mark.parametrize("index", range(len(CASES)), ids=[str(made) for made in CASES])
def test_c_equals_integers(whole, index):
    pictures = CASES[index].pictures(PICTURES)
    np.testing.assert_array_equal(whole.run(index, pictures), reference(CASES[index], pictures))


@pytest.mark.parametrize("index", range(len(CASES)), ids=[str(made) for made in CASES])
def test_parts_equal_the_whole(parts, index):
    """A part reads nothing but its halo, writes nothing but its region, and writes what the whole has there."""
    made = CASES[index]
    rng = random_for(f"parts of {made}")
    pictures = made.pictures(1)
    jobs, expected = random_jobs(made.graph, [pictures[0][0]], reference(made, pictures)[0], rng)
    for job, block, after in zip(jobs, parts.parts(index, jobs), expected, strict=True):
        after.block[:] = after.without_rubbish(job[2])
        actual = dataclasses.replace(after, block=block).without_rubbish(job[2])
        np.testing.assert_array_equal(actual, after.block, err_msg=str(job[2]))
