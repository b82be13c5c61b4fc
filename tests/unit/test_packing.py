"""Packed elements: bytes by hand, exact inverses, runs that begin at multiples of four channels, sizes of tensors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantmcu_kit.ir.graph import Tensor
from quantmcu_kit.ir.types import DType, Quant
from quantmcu_kit.numerics.packing import pack, packed_bytes, unpack
from quantmcu_kit.ops.weighted import Weights

FEW = settings(max_examples=100, deadline=None, derandomize=True)


def test_four_bits_by_hand():
    """Low bits first: the first channel is the low nibble; the odd one leaves the high nibble zero."""
    assert pack(np.uint8([[1, 15, 7], [0, 2, 9]]), 4).tolist() == [[0xF1, 0x07], [0x20, 0x09]]
    assert pack(np.int8([-1, -7, 7]), 4).tolist() == [0x9F, 0x07]


def test_two_bits_by_hand():
    assert pack(np.uint8([3, 0, 2, 1, 2]), 2).tolist() == [0b01_10_00_11, 0b10]
    assert pack(np.int8([-2, -1, 0, 1, -2]), 2).tolist() == [0b01_00_11_10, 0b10]


@FEW
@given(
    bits=st.sampled_from([4, 2]), signed=st.booleans(), runs=st.integers(0, 4), count=st.integers(1, 19), data=st.data()
)
def test_unpack_undoes_pack(bits, signed, runs, count, data):
    low = -(2 ** (bits - 1)) if signed else 0
    seed = data.draw(st.integers(0, 2**32 - 1))
    values = np.random.default_rng(seed).integers(low, low + 2**bits, (runs, 2, count))
    values = values.astype(np.int8 if signed else np.uint8)
    packed = pack(values, bits)
    assert packed.dtype == np.uint8 and packed.shape == (runs, 2, packed_bytes(count, bits))
    got = unpack(packed, bits, count, signed=signed)
    assert got.dtype == values.dtype and np.array_equal(got, values)
    # As the layout is stated, element by element.
    for index in np.ndindex(*values.shape):
        *run, i = index
        field = int(packed[(*run, i * bits // 8)]) >> (i * bits % 8) & (2**bits - 1)
        assert field == int(values[index]) % 2**bits


@FEW
@given(bits=st.sampled_from([4, 2]), count=st.integers(1, 30), first=st.integers(0, 7), seed=st.integers(0, 2**32 - 1))
def test_a_run_from_a_multiple_of_four_is_whole_bytes(bits, count, first, seed):
    values = np.random.default_rng(seed).integers(0, 2**bits, count).astype(np.uint8)
    start = min(4 * first, count // 4 * 4)
    part = pack(values, bits)[start * bits // 8 :]
    assert np.array_equal(part, pack(values[start:], bits))


def test_bits_beyond_the_last_element_are_zero():
    for bits, count in ((4, 5), (2, 5), (2, 6), (2, 7)):
        last = int(pack(np.full(count, 2**bits - 1, np.uint8), bits)[-1])
        assert last >> (count * bits - 8 * (packed_bytes(count, bits) - 1)) == 0


@pytest.mark.parametrize("values", [np.uint8([16]), np.int8([8]), np.int8([-9])])
def test_values_that_do_not_fit_are_a_defect(values):
    with pytest.raises(AssertionError):
        pack(values, 4)


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((1, 5, 5, 3), DType.I8, 75),
        ((1, 5, 5, 3), DType.U4, 50),  # 3 nibbles are 2 bytes
        ((1, 5, 5, 3), DType.U2, 25),
        ((1, 5, 5, 9), DType.U2, 75),  # 18 bits are 3 bytes
        ((8, 3, 3, 16), DType.I4, 576),
        ((1, 3, 3, 10), DType.I2, 27),
        ((1, 7), DType.U4, 4),
        ((), DType.U4, 1),
        ((10,), DType.I32, 40),
        ((3,), DType.BOOL, 3),
    ],
)
def test_bytes_of_tensors(shape, dtype, expected):
    assert Tensor("x", shape, dtype).bytes == expected


@pytest.mark.parametrize(
    ("shape", "axis", "dtype", "expected"),
    [
        ((4, 3, 3, 5), 0, DType.I4, 4 * 23),  # a row of CONV_2D has 45 weights
        ((4, 3, 3, 5), 0, DType.I2, 4 * 12),
        ((1, 3, 3, 5), 0, DType.I4, 23),
        ((1, 3, 3, 5), 3, DType.I4, 9 * 3),  # a tap of DEPTHWISE_CONV_2D
        ((7, 3), 0, DType.I2, 7),
        ((1, 3, 3, 5), 3, DType.I8, 45),
    ],
)
def test_bytes_of_weights(shape, axis, dtype, expected):
    quant = Quant(np.ones(shape[axis], np.float32), np.zeros(shape[axis], np.int32), axis)
    assert Tensor("w", shape, dtype, quant).bytes == expected
    data = np.arange(expected if dtype is DType.I8 else np.prod(shape)).reshape(shape) % 4 - 2
    weights = Weights(data.astype(np.int8), 0, axis, dtype, 15)
    assert weights.stored.nbytes == expected and weights.stored.dtype == np.int8


def test_weights_by_hand():
    """A row of an output channel goes on from tap to tap; a depthwise tap begins a byte."""
    rows = np.int8([[[[1, 2, 3]], [[4, 5, 6]]], [[[-1, -2, -3]], [[-4, -5, -6]]]])  # [2, 2, 1, 3]
    expected = [[0x21, 0x43, 0x65], [0xEF, 0xCD, 0xAB]]
    assert Weights(rows, 0, 0, DType.I4, 15).stored.view(np.uint8).tolist() == expected
    taps = rows[:1]  # [1, 2, 1, 3]
    assert Weights(taps, 0, 3, DType.I4, 15).stored.view(np.uint8).tolist() == [[0x21, 0x03], [0x54, 0x06]]
    assert Weights(rows, 0, 0, DType.I8, 15).stored is rows


@pytest.mark.parametrize(
    ("dtype", "bits", "low", "high", "stored"),
    [
        (DType.I8, 8, -128, 127, "int8"),
        (DType.U4, 4, 0, 15, "uint8"),
        (DType.U2, 2, 0, 3, "uint8"),
        (DType.I4, 4, -8, 7, "int8"),
        (DType.I2, 2, -2, 1, "int8"),
        (DType.U8, 8, 0, 255, "uint8"),
        (DType.I32, 32, -(2**31), 2**31 - 1, "int32"),
    ],
)
def test_element_types(dtype, bits, low, high, stored):
    assert (dtype.bits, dtype.low, dtype.high, dtype.numpy) == (bits, low, high, np.dtype(stored))
    assert dtype.is_packed == (bits < 8)
