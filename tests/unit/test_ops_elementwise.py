"""What the elementwise, table and data-movement operators refuse, fold and emit."""

from __future__ import annotations

import numpy as np
import pytest

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import Activation, DType, Quant
from quantmcu_kit.ops import (
    add,
    binary,
    concatenation,
    mul,
    pack,
    quantize,
    relu,
    reshape,
    shape,
    softmax,
    squeeze,
    strided_slice,
    transpose,
)
from quantmcu_kit.ops.spec import NoAttrs
from quantmcu_kit.ops.table import TABLE

PLAIN = binary.Attrs(Activation.NONE)
MAP = (1, 4, 5, 3)


def int8(shape: tuple[int, ...], scale: float = 0.05, zero_point: int = 3, data: np.ndarray | None = None) -> Tensor:
    """A quantized tensor."""
    return Tensor("t", shape, DType.I8, Quant.per_tensor(scale, zero_point), data)


def int32(values: list[int]) -> Tensor:
    """A constant of indices."""
    data = np.array(values, np.int32)
    return Tensor("indices", data.shape, DType.I32, None, data)


def refusal(spec, attrs, *inputs) -> str:
    """Why the constraints of ``spec`` refuse the node."""
    with pytest.raises(QmkitError) as caught:
        spec.check_constraints(attrs, inputs, "node")
    assert caught.value.code == "unsupported-op"
    return caught.value.why


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("other", [(1, 4, 5, 1), (1, 4, 1, 3), (1, 1, 5, 3), (4, 1, 1)])
def test_spatial_broadcasts_are_refused(op, other):
    assert "one value per channel" in refusal(TABLE[op], PLAIN, int8(MAP), int8(other))


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
def test_two_sided_broadcasts_are_refused(op):
    """Neither operand has the output's shape."""
    assert "one value per channel" in refusal(TABLE[op], PLAIN, int8((1, 4, 1, 1)), int8((1, 1, 1, 3)))


def test_computed_operands_need_equal_rank():
    """A batch of vectors [n, 3] would not line up with a batch of maps [n, 4, 5, 3]."""
    assert "same number of axes" in refusal(TABLE["ADD"], PLAIN, int8(MAP), int8((1, 3)))


def test_operands_that_do_not_fit():
    with pytest.raises(QmkitError, match="do not fit together") as caught:
        binary.infer(PLAIN, int8(MAP), int8((1, 4, 5, 2)))
    assert caught.value.code == "bad-shape"


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL", "RELU", "QUANTIZE"])
def test_vanishing_output_scales_are_refused(op):
    """They would overflow the 32-bit arithmetic of the kernels, TFLite's included."""
    inputs = (int8(MAP),) * (2 if op in ("ADD", "SUB", "MUL") else 1)
    attrs = PLAIN if len(inputs) == 2 else NoAttrs()
    with pytest.raises(QmkitError) as caught:
        TABLE[op].prepare(attrs, inputs, int8(MAP, scale=1e-9))
    assert caught.value.code == "bad-quantization"


@pytest.mark.parametrize("op", ["SOFTMAX", "LOGISTIC"])
@pytest.mark.parametrize(("scale", "zero_point"), [(1 / 128, -128), (1 / 256, 0)])
def test_probabilities_have_one_quantization(op, scale, zero_point):
    attrs = softmax.Attrs(1.0) if op == "SOFTMAX" else NoAttrs()
    with pytest.raises(QmkitError, match="scale") as caught:
        TABLE[op].prepare(attrs, (int8((1, 9)),), int8((1, 9), scale, zero_point))
    assert caught.value.code == "bad-quantization"


def test_softmax_needs_a_scale():
    with pytest.raises(QmkitError, match="beta 0") as caught:
        softmax.prepare(softmax.Attrs(0.0), (int8((1, 9)),), int8((1, 9), 1 / 256, -128))
    assert caught.value.code == "bad-quantization"


def test_softmax_over_too_many_values():
    assert "4095" in refusal(softmax.SPEC, softmax.Attrs(1.0), int8((1, 4096)))


@pytest.mark.parametrize(("depth", "expected"), [(256, -127), (511, -127), (512, -128), (4095, -128)])
def test_softmax_of_equal_values(depth, expected):
    """1/256 is one step, 1/511 rounds up to one; 1/512 and less become none, where TFLite's kernel aborts."""
    params = softmax.prepare(softmax.Attrs(1.0), (int8((1, depth)),), int8((1, depth), 1 / 256, -128))
    assert set(softmax.int_ref(params, np.full((1, depth), 5, np.int8)).reshape(-1)) == {expected}


@pytest.mark.parametrize("position", [0, 1])
def test_constant_scalars_become_tables(position):
    """(q - 3)·0.05 + (7 - 3)·0.05 under scale 0.05 and zero-point 3 is q + 4."""
    operands = [int8(MAP), int8(MAP)]
    operands[position] = int8((), data=np.array(7, np.int8))
    (call,) = add.emit(add.prepare(1, PLAIN, tuple(operands), int8(MAP)))
    fields = dict(call.fields)
    assert (call.kernel, call.arguments, fields["count"]) == ("lookup", (1 - position,), 60)
    q = np.arange(256).astype(np.uint8).view(np.int8).astype(int)
    np.testing.assert_array_equal(fields["table"], np.clip(q + 4, -128, 127))


def test_channel_operands_are_used_again_for_each_row():
    params = mul.prepare(PLAIN, (int8((1, 1, 1, 3)), int8(MAP)), int8(MAP))
    (call,) = mul.emit(params)
    walk = {"rows": 20, "columns": 3, "a_stride": 0, "b_stride": 3, "channels": 3}
    assert dict(dict(call.fields)["walk"]).items() >= walk.items()
    assert (call.kernel, call.arguments) == ("mul", (0, 1))


@pytest.mark.parametrize(
    ("dtypes", "shape", "out", "moves"),
    [
        ((DType.I8, DType.I8), (1, 3, 5, 1), (1, 15), False),
        ((DType.U4, DType.U4), (1, 3, 5, 1), (1, 15), True),  # a byte for each pixel, a half for each element
        ((DType.U4, DType.U4), (1, 3, 5, 4), (1, 60), False),
        ((DType.U4, DType.U4), (1, 3, 5, 4), (1, 20, 3), True),
        ((DType.U4, DType.U4), (1, 3, 5, 3), (1, 15, 3), False),
        ((DType.U2, DType.U2), (1, 3, 5, 2), (1, 30), True),
        ((DType.U2, DType.U2), (1, 3, 5, 4), (1, 5, 12), False),
        ((DType.U4, DType.U2), (1, 3, 5, 4), (1, 60), True),
        ((DType.I8, DType.U4), (1, 15), (1, 15), True),
    ],
)
def test_views_move_what_is_packed_otherwise(dtypes, shape, out, moves):
    """Each run of the last axis begins in a byte of its own."""
    quant = Quant.per_tensor(0.5, 1)
    x, y = (Tensor(name, size, dtype, quant) for name, size, dtype in zip("xy", (shape, out), dtypes, strict=True))
    calls = reshape.SPEC.emit(reshape.SPEC.prepare(reshape.Attrs(out), (x,), y))
    assert [call.kernel for call in calls] == ["reshape"] * moves


def test_views_requantize():
    """Packed values of another scale are other integers, wherever they lie."""
    x, y = (Tensor(name, (1, 4), DType.U4, Quant.per_tensor(scale, 1)) for name, scale in (("x", 0.5), ("y", 1.0)))
    (call,) = reshape.SPEC.emit(reshape.SPEC.prepare(reshape.Attrs((1, 4)), (x,), y))
    # 1 + (q - 1) / 2; where nothing is shifted, halves go up
    assert dict(call.fields)["table"].tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8]


def test_axes_that_are_the_batch():
    assert "batch" in refusal(reshape.SPEC, reshape.Attrs((4, 15)), int8(MAP))
    assert "batch" in refusal(squeeze.SPEC, squeeze.Attrs((0,)), int8(MAP))
    assert "batch" in refusal(transpose.SPEC, transpose.Attrs((1, 0, 2, 3)), int8(MAP))
    assert "batch" in refusal(concatenation.SPEC, concatenation.Attrs(0), int8(MAP), int8(MAP))


def test_constants_may_move_their_first_axis():
    weights = int8((4, 15), data=np.zeros((4, 15), np.int8))
    reshape.SPEC.check_constraints(reshape.Attrs((15, 4)), (weights,), "node")
    transpose.SPEC.check_constraints(transpose.Attrs((1, 0)), (weights,), "node")
    assert reshape.float_ref(reshape.Attrs((15, 4)), weights.data).shape == (15, 4)


def test_reshape_keeps_a_batch():
    """Pictures stay apart: the first axis of the new shape stands for all of them."""
    x = np.arange(2 * 12).reshape(2, 3, 4)
    np.testing.assert_array_equal(reshape.float_ref(reshape.Attrs((1, 12)), x), x.reshape(2, 12))


def test_concatenation_repeats_constants_for_a_batch():
    x, constant = np.zeros((3, 2), np.int8), np.ones((1, 4), np.int8)
    out = concatenation.float_ref(concatenation.Attrs(1), x, constant)
    np.testing.assert_array_equal(out, [[0, 0, 1, 1, 1, 1]] * 3)


@pytest.mark.parametrize(
    ("infer", "attrs", "inputs"),
    [
        (reshape.infer, reshape.Attrs((1, 61)), (int8(MAP),)),
        (reshape.infer, reshape.Attrs((-1, -60)), (int8(MAP),)),
        (squeeze.infer, squeeze.Attrs((1,)), (int8(MAP),)),
        (squeeze.infer, squeeze.Attrs((7,)), (int8(MAP),)),
        (transpose.infer, transpose.Attrs((0, 1, 1, 3)), (int8(MAP),)),
        (concatenation.infer, concatenation.Attrs(3), (int8(MAP), int8((1, 4, 6, 3)))),
        (concatenation.infer, concatenation.Attrs(5), (int8(MAP),)),
        (pack.infer, pack.Attrs(0), (int32([1]), int32([1, 2]))),
        (strided_slice.infer, strided_slice.Attrs(0, 0, 1), (int32([1, 2]), int32([2]), int32([3]), int32([1]))),
        (strided_slice.infer, strided_slice.Attrs(0, 0, 0), (int32([1, 2]), int32([0]), int32([1]), int32([0]))),
        (strided_slice.infer, strided_slice.Attrs(0, 0, 0), (int32([1]), int32([0, 0]), int32([1, 1]), int32([1, 1]))),
    ],
)
def test_shapes_that_contradict_attributes(infer, attrs, inputs):
    with pytest.raises(QmkitError) as caught:
        infer(attrs, *inputs)
    assert caught.value.code == "bad-shape"


def test_shape_arithmetic():
    """[n, 4, 5, 3] -> SHAPE -> STRIDED_SLICE [0] -> PACK with 60: the batch that exporters compute for RESHAPE."""
    sizes = shape.float_ref(NoAttrs(), np.zeros(MAP))
    bounds = (np.array([0]), np.array([1]), np.array([1]))
    batch = strided_slice.float_ref(strided_slice.Attrs(0, 0, 1), sizes, *bounds)
    packed = pack.float_ref(pack.Attrs(0), batch, np.int32(60))
    assert (packed.tolist(), packed.dtype) == ([1, 60], np.int32)


@pytest.mark.parametrize(
    ("masks", "bounds", "expected"),
    [
        ((0, 0, 0), ([1], [4], [2]), [1, 3]),
        ((1, 0, 0), ([9], [3], [1]), [0, 1, 2]),
        ((0, 1, 0), ([3], [0], [1]), [3, 4, 5]),
        ((1, 1, 0), ([0], [0], [-1]), [5, 4, 3, 2, 1, 0]),
        ((0, 0, 0), ([-2], [100], [1]), [4, 5]),
        ((0, 0, 1), ([-2], [0], [1]), 4),
        ((1, 0, 1), ([3], [0], [1]), 0),
    ],
)
def test_slices(masks, bounds, expected):
    """Negative, open and clamped bounds as in Python; a shrunk axis takes one element."""
    tensors = [np.array(bound) for bound in bounds]
    assert strided_slice.float_ref(strided_slice.Attrs(*masks), np.arange(6), *tensors).tolist() == expected


def test_quantize_keeps_real_values():
    x = np.array([[0.3, -7.5]], np.float32)
    np.testing.assert_array_equal(quantize.float_ref(NoAttrs(), x), x)


def test_relu_table_clamps_and_rescales():
    """Real -0.1, 0, 0.1, 0.2 (scale 0.1, zero-point 0) under scale 0.05 and zero-point -128."""
    params = relu.SPEC.prepare(NoAttrs(), (int8((1, 4), 0.1, 0),), int8((1, 4), 0.05, -128))
    x = np.array([[-1, 0, 1, 2]], np.int8)
    assert relu.SPEC.int_ref(params, x).tolist() == [[-128, -128, -126, -124]]
