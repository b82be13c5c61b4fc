"""``conv_outer``: convolutions below 8 bits by outer products, on the host, against the Python integer reference."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from quantmcu_kit.ir.graph import Graph, Tensor
from quantmcu_kit.ir.types import Activation, DType, Padding, Quant, Size
from quantmcu_kit.ops import convolution
from quantmcu_kit.ops.interpret import Interpreter, kernel_calls, prepare_node
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.ops.variants import conv_outer, outer_fields
from tests.ops.packed_case import PackedCase, case, feature_map, random_for
from tests.support.c_program import CProgram
from tests.support.kernel_parts import KernelParts, random_jobs

# Name: map [h, w, in], kernel, output channels, stride (of both axes, or of each), dilation, padding (top, bottom,
# left, right).
GEOMETRIES = {
    "pointwise-8-to-4": ((3, 4, 8), (1, 1), 4, 1, 1, (0, 0, 0, 0)),
    "pointwise-9-to-5": ((3, 5, 9), (1, 1), 5, 1, 1, (0, 0, 0, 0)),
    "pointwise-24-to-8": ((5, 5, 24), (1, 1), 8, 1, 1, (0, 0, 0, 0)),
    "pointwise-40-to-7-stride2": ((5, 6, 40), (1, 1), 7, 2, 1, (0, 0, 0, 0)),
    "pointwise-8-to-4-stride-1x2-narrow": ((5, 1, 8), (1, 1), 4, (1, 2), 1, (0, 0, 0, 0)),
    "pointwise-96-to-12": ((2, 7, 96), (1, 1), 12, 1, 1, (0, 0, 0, 0)),
    "pointwise-3-to-1-padded": ((2, 3, 3), (1, 1), 1, 1, 1, (0, 1, 0, 2)),
    "3x3-16-to-8": ((6, 9, 16), (3, 3), 8, 1, 1, (1, 1, 1, 1)),
    "3x3-8-to-6-stride2": ((9, 12, 8), (3, 3), 6, 2, 1, (0, 1, 0, 1)),
    "3x3-3-to-9": ((7, 13, 3), (3, 3), 9, 1, 1, (1, 1, 1, 1)),
    "3x3-32-to-4-valid": ((7, 14, 32), (3, 3), 4, 1, 1, (0, 0, 0, 0)),
    "5x5-2-to-4": ((8, 6, 2), (5, 5), 4, 1, 1, (2, 2, 2, 2)),
    "2x4-11-to-3-dilation2": ((6, 8, 11), (2, 4), 3, 1, 2, (2, 1, 3, 2)),
    "3x3-8-to-4-stride3": ((9, 9, 8), (3, 3), 4, 3, 1, (1, 1, 1, 1)),
    "1x3-16-to-4": ((3, 15, 16), (1, 3), 4, 1, 1, (0, 0, 1, 1)),
    "3x1-8-to-4": ((14, 5, 8), (3, 1), 4, 1, 1, (1, 1, 0, 0)),
}
STEEP = ("pointwise-9-to-5", "pointwise-24-to-8", "3x3-8-to-6-stride2")  # with factors of a half and more, too
WIDTHS = tuple(itertools.product((4, 2), (4, 2), (8, 4, 2)))  # input, weights, output


def weights_of(kind: str, bits: int, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Weights as trained ones are, all their values alike, or the least or largest value throughout.

    "saturated": as trained ones, beside biases that decide the output of some channels whatever the input is.
    "steep": as trained ones, for outputs of a small scale.
    """
    dtype = DType.weights(bits)
    if kind in ("trained", "saturated", "steep"):
        values = np.clip(np.round(rng.normal(0, dtype.high / 2.5, shape)), dtype.low, dtype.high)
    elif kind == "uniform":
        values = rng.integers(dtype.low, dtype.high, shape, endpoint=True)
    else:
        values = np.full(shape, dtype.low if kind == "low" else dtype.high)
    return values.astype(np.int8)


def outer_case(name: str, widths: tuple[int, int, int], kind: str, signed: bool) -> PackedCase | None:
    """The geometry ``name``; None where the kernel does not run it."""
    size, kernel, out, stride, dilation, margin = GEOMETRIES[name]
    in_bits, bits, out_bits = widths
    name = f"{name}-{'-'.join(map(str, widths))}-{kind}-{'signed' if signed else 'clamped'}"
    rng = random_for(name)
    values = weights_of(kind, bits, (out, *kernel, size[2]), rng)
    in_dtype, out_dtype = DType.feature_map(in_bits), DType.feature_map(out_bits)
    taps = values[0].size
    spread = max(1.0, float(values.std())) * 2**in_bits / 3.5 * taps**0.5
    scales = rng.uniform(0.01, 0.03, out).astype(np.float32)
    x = feature_map("x", (1, *size), in_bits, 0.1, int(rng.integers(in_dtype.low, in_dtype.high + 1)))
    zero = int((out_dtype.low + out_dtype.high + 1) // 2) if signed else out_dtype.low
    weights = Tensor("w", values.shape, DType.weights(bits), Quant(scales, np.zeros(out, np.int32), 0), values)
    biases = rng.integers(-int(spread), int(spread) + 1, out).astype(np.int32)
    bias = Tensor("b", (out,), DType.I32, Quant(scales * np.float32(0.1), np.zeros(out, np.int32), 0), biases)
    if kind == "saturated":  # beyond halfwords
        biases[:2] = (40_000_000, -40_000_000)[: min(out, 2)]
    attrs = convolution.Attrs(
        Size(*np.broadcast_to(stride, 2).tolist()),
        Size(dilation, dilation),
        Padding(*margin),
        Activation.NONE if signed else Activation.RELU,
    )
    scale = 0.1 * 0.03 / 0.9 if kind == "steep" else 0.002 * spread * 4 / 2**out_bits
    y = feature_map("y", TABLE["CONV_2D"].infer(attrs, x, weights, bias), out_bits, scale, zero)
    made = case(name, "CONV_2D", attrs, (x, weights, bias), y)
    (node,) = made.graph.nodes
    if not conv_outer.supports(prepare_node(made.graph, node)):
        return None
    graph = made.graph.replace(nodes=[dataclasses.replace(node, kernel="conv_outer")])
    return PackedCase(made.name, graph)


def all_cases() -> tuple[PackedCase, ...]:
    """Every geometry at every width; kinds of weights and outputs in turn; a signed byte of many products; STEEP."""
    found = [outer_case("3x3-32-to-4-valid", (4, 4, 8), "trained", True)]
    found += [outer_case(name, (4, 4, 4), "steep", False) for name in STEEP]
    kinds = itertools.cycle(
        itertools.product(("trained", "uniform", "saturated", "trained", "low", "high", "trained"), (False, True))
    )
    for name, widths in itertools.product(GEOMETRIES, WIDTHS):
        kind, signed = next(kinds)
        found.append(outer_case(name, widths, kind, signed))
    return tuple({str(each): each for each in found if each is not None}.values())


CASES = all_cases()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> CProgram:
    return CProgram([case.graph for case in CASES], tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> KernelParts:
    return KernelParts([case.graph for case in CASES], tmp_path_factory.mktemp("parts"))


def reference(graph: Graph, pictures: np.ndarray) -> np.ndarray:
    return Interpreter(graph, integer=True).run({"x": pictures})["y"]


def finish_of(case: PackedCase) -> int:
    (call,) = kernel_calls(case.graph, case.graph.nodes[0])
    return dict(call.fields)["finish"]


def test_most_cases_are_supported_and_every_way_to_finish_occurs():
    assert len(CASES) > 0.7 * len(GEOMETRIES) * len(WIDTHS)
    assert {int(finish_of(case)) for case in CASES} == {0, 1, 2, 3, 6, 7}


@pytest.mark.parametrize("index", range(len(CASES)), ids=[str(case) for case in CASES])
def test_c_equals_integers(whole, index):
    (pictures,) = CASES[index].pictures(4)
    np.testing.assert_array_equal(whole.run(index, [pictures]), reference(CASES[index].graph, pictures))


@pytest.mark.parametrize("index", range(len(CASES)), ids=[str(case) for case in CASES])
def test_parts_equal_the_whole(parts, index):
    """Regions of all kinds, in tiles, rings and wider maps."""
    case = CASES[index]
    rng = random_for(str(case))
    (pictures,) = case.pictures(3)
    jobs, expected = random_jobs(case.graph, [pictures[2]], reference(case.graph, pictures)[2], rng)
    for job, block, after in zip(jobs, parts.parts(index, jobs), expected, strict=True):
        after.block[:] = after.without_rubbish(job[2])
        actual = dataclasses.replace(after, block=block).without_rubbish(job[2])
        np.testing.assert_array_equal(actual, after.block, err_msg=str(job[2]))


def has_plan(params: convolution.Params) -> bool:
    try:
        return bool(conv_outer.emit(params))
    except AssertionError:
        return False


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_what_is_supported_has_a_plan(widths):
    """Random windows and channels, some with biases for which 32 bits are too few, or weights with a zero-point."""
    rng = random_for(f"plans {widths}")
    found = set()
    for index in range(24):
        made = outer_case(str(rng.choice(list(GEOMETRIES))), widths, "trained", bool(index % 2))
        if made is None:
            continue
        params = prepare_node(made.graph, made.graph.nodes[0])
        factor = int(rng.choice((0, 1 << 8, 1 << 16, 1 << 24, 1 << 31)))
        bias = params.requant.bias.astype(np.int64) + rng.integers(-1, 2, params.requant.bias.shape) * factor
        weights = dataclasses.replace(params.weights, zero_point=int(index % 8 == 7))
        far = dataclasses.replace(params.requant, bias=bias.clip(-(2**31), 2**31 - 1).astype(np.int32))
        params = dataclasses.replace(params, requant=far, weights=weights)
        assert conv_outer.supports(params) == has_plan(params)
        found.add(conv_outer.supports(params))
    assert found == {False, True}


def test_fields_hold_the_largest_sums_that_they_can():
    """One unit more than fits, of the least weights, is divided; D is the most that a piece takes away."""
    form = outer_fields.FORM_I4
    fitting = np.full((4, 17, 8), -8, np.int64)  # 17 * 8 * 8 * 15 = 16320 < 2^14
    division, start = outer_fields.find_division(fitting, Size(1, 1), 15, form)
    assert (division.sizes, start) == ((17,), 16320)
    larger = np.full((4, 18, 8), -8, np.int64)
    division, start = outer_fields.find_division(larger, Size(1, 1), 15, form)
    assert (division.sizes, start) == ((9, 9), 8640)


def test_weights_that_do_not_fit_even_one_unit_are_refused():
    form = outer_fields.FORM_I2
    assert outer_fields.find_division(np.full((4, 1, 8), -2, np.int64), Size(1, 1), 15, form)[1] == 240
    mixed = np.full((8, 1, 8), 100, np.int64)
    assert outer_fields.find_division(mixed, Size(1, 1), 15, form) is None


def test_stored_weights_by_hand():
    """Bits 8n to 8n + 3 and, turned by 28, the next four: channels 0 and 1, then 2 and 3, of two k."""
    weights = np.zeros((4, 1, 8), np.int64)
    weights[:, 0, 0] = (-8, -7, -6, -5)
    weights[:, 0, 1] = (-4, -3, -2, 7)
    first = int(outer_fields.store(weights, [1], outer_fields.FORM_I4)[0]) & 0xFFFFFFFF
    pairs = [(((first >> n) | (first << (32 - n))) & 0xFFFFFFFF) if n else first for n in (0, 8, 16, 24)]
    found = [(pair & 0xF, pair >> 28) for pair in pairs]
    assert found == [(0, 1), (2, 3), (4, 5), (6, 15)]
