"""Messages to and from the child process: every array comes back as it went, and nothing else passes for a message."""

from __future__ import annotations

import io
import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from quantmcu_kit.calibrate.protocol import Message, read, write

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
any_array = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4))
)


def sent(message):
    stream = io.BytesIO()
    write(stream, message)
    stream.seek(0)
    return stream


def frame(header, data=b""):
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return io.BytesIO(struct.pack("<I", len(text)) + text + data)


@given(st.text(), st.text(), st.lists(any_array, max_size=3), st.lists(st.integers(-(2**70), 2**70), max_size=3))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_round_trip(verb, text, values, numbers):
    received = read(sent(Message(verb, tuple(values), tuple(numbers), text)))
    assert (received.verb, received.text, received.numbers) == (verb, text, tuple(numbers))
    assert len(received.arrays) == len(values)
    for actual, expected in zip(received.arrays, values, strict=True):
        assert actual.dtype == expected.dtype and actual.shape == expected.shape
        assert actual.tobytes() == expected.tobytes()  # NaN included


def test_arrays_need_not_be_contiguous():
    values = np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)[::2]
    np.testing.assert_array_equal(read(sent(Message("run", (values,)))).arrays[0], values)


def test_messages_follow_one_another():
    stream = io.BytesIO()
    for number in range(3):
        write(stream, Message("run", (np.full(number, number),), (number,)))
    stream.seek(0)
    for number in range(3):
        assert read(stream).arrays[0].tolist() == [number] * number
    with pytest.raises(EOFError):
        read(stream)


def test_end_in_the_middle():
    whole = sent(Message("run", (np.arange(9),), (1,), "text")).getvalue()
    for size in range(len(whole)):
        with pytest.raises(EOFError):
            read(io.BytesIO(whole[:size]))


@pytest.mark.parametrize(
    "header",
    [
        b"no JSON",
        b"\xff\xfe",
        b"[" * 100_000,
        5,
        {},
        ["run"],
        ["run", "", [], [], []],
        ["run", "", 5, []],
        ["run", "", [], 5],
        ["run", "", [], [5]],
        ["run", "", [], [["<f4", "3"]]],
        ["run", "", [], [["<f4", 2.5]]],
        ["run", "", [], [["<f4", -1]]],
        ["run", "", [], [["<f4", 1 << 40]]],
        ["run", "", [], [["<f4", 1 << 60, 1 << 60]]],
        ["run", "", [], [["|O", 1]]],
        ["run", "", [], [["<U4", 1]]],
        ["run", "", [], [[["<f4"], 1]]],
    ],
    ids=lambda header: str(header)[:30],
)
def test_no_message(header):
    """ValueError, and no memory for sizes that are only claimed."""
    with pytest.raises(ValueError):
        read(frame(header, bytes(64)))


def test_header_without_bound():
    with pytest.raises(ValueError):
        read(io.BytesIO(b"\xff\xff\xff\xff" + bytes(64)))
