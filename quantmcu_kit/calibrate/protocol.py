"""Messages between this process and the one that runs the TFLite runtime: a JSON header and raw arrays, no pickle.

A frame is the header's length (4 bytes, little-endian), the header, and the arrays' bytes one after the other.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

_LENGTH = struct.Struct("<I")
_MAX_HEADER = 1 << 24
_MAX_ARRAY = 1 << 32
_DTYPES = frozenset(
    np.dtype(name).str for name in ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
)

# Requests
LOAD = "load"  # arrays [model bytes], numbers [reference kernels 0/1]
RUN = "run"  # arrays: one per network input, [n, ...]; answered with the network's outputs [n, ...]
FEATURE_MAPS = "feature-maps"  # the same, answered with the tensors whose indices are ``numbers``
OBSERVE = "observe"  # the same, numbers [index, channels, ...]; answered with the packed statistics of these pictures
# Answers
DONE = "done"
MISSING = "missing"  # no TFLite runtime is installed
REFUSED = "refused"  # the runtime does not take the model or the input; ``text`` says why
NOT_FINITE = "not-finite"  # tensor numbers[0] became NaN or infinite


@dataclass(frozen=True, eq=False)
class Message:
    """One request or answer."""

    verb: str
    arrays: tuple[np.ndarray, ...] = ()
    numbers: tuple[int, ...] = ()
    text: str = ""


def write(stream: BinaryIO, message: Message) -> None:
    """Send one message."""
    arrays = [np.ascontiguousarray(array) for array in message.arrays]
    shapes = [[array.dtype.str, *array.shape] for array in arrays]
    header = json.dumps([message.verb, message.text, list(message.numbers), shapes]).encode()
    stream.write(_LENGTH.pack(len(header)) + header)
    for array in arrays:
        stream.write(array.reshape(-1).view(np.uint8).data)
    stream.flush()


def read(stream: BinaryIO) -> Message:
    """Receive one message. Raises EOFError at the end of the stream, ValueError when it is no message."""
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    if length > _MAX_HEADER:
        raise ValueError(f"a header of {length} bytes")
    try:
        verb, text, numbers, shapes = json.loads(_exactly(stream, length))
        return Message(verb, tuple(_read_array(stream, *entry) for entry in shapes), tuple(numbers), text)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"a header of another form: {error}") from None


def _read_array(stream: BinaryIO, dtype: str, *shape: int) -> np.ndarray:
    if dtype not in _DTYPES:
        raise ValueError(f"an array of type {dtype!r}")
    size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    if not 0 <= size <= _MAX_ARRAY:
        raise ValueError(f"an array of {size} bytes")
    return np.frombuffer(_exactly(stream, size), dtype).reshape(shape)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data
