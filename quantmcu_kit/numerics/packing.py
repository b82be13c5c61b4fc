"""Elements of 4 and 2 bits in bytes: the layout of feature maps and weights in the generated library.

A run is what begins in a byte of its own: the channels of a pixel of a map [h, w, channels], which are the last axis of
any map; the row of an output channel of CONV_2D weights [out, kernel_h · kernel_w · in] and of FULLY_CONNECTED weights
[out, in]; the output channels of a tap of DEPTHWISE_CONV_2D weights [kernel_h · kernel_w, out].

- Runs follow one another in the array's order. Each takes ceil(count · bits / 8) bytes.
- Element i of a run is ``(byte[i · bits // 8] >> (i · bits % 8)) & (2^bits - 1)``: low bits first.
- Unsigned elements (maps) are stored as they are, signed ones (weights) in two's complement: value
  ``(field ^ 2^(bits-1)) - 2^(bits-1)``.
- The bits that are left in a run's last byte are zero in constants, and undefined in maps.

Hence elements 4k, 4k + 1, 4k + 2, 4k + 3 of a run lie in whole bytes of their own (byte k for 2 bits; bytes 2k and
2k + 1 for 4 bits), and a kernel may read or write a part of a run that begins at any multiple of 4 without touching its
neighbours. The joint of two runs along channels (a concatenation) is whole bytes where the first has a multiple of 4
channels (of 2 for 4 bits).
"""

from __future__ import annotations

import math

import numpy as np

WIDTHS = (4, 2)  # bits of packed elements; wider ones are stored as they are


def packed_bytes(count: int, bits: int) -> int:
    """Bytes of a run of ``count`` elements."""
    return -(-count * bits // 8)


def weight_rows(shape: tuple[int, ...], channel_axis: int) -> tuple[int, int]:
    """(runs, elements of a run) of weights whose output channels are the first or the last axis of ``shape``."""
    rows, *taps = shape if channel_axis == 0 else (math.prod(shape[:-1]), shape[-1])
    return rows, math.prod(taps)


def pack(values: np.ndarray, bits: int) -> np.ndarray:
    """uint8 [..., packed_bytes(n, bits)] of integers [..., n].

    Args:
        values: within 0..2^bits - 1 where their type is unsigned, else within -2^(bits-1)..2^(bits-1) - 1.
        bits: 4 or 2.
    """
    assert bits in WIDTHS, bits
    low = 0 if values.dtype.kind == "u" else -(1 << (bits - 1))
    assert values.size == 0 or (values.min() >= low and values.max() < low + (1 << bits)), f"beyond {bits} bits"
    per_byte = 8 // bits
    size = packed_bytes(values.shape[-1], bits)
    fields = np.zeros((*values.shape[:-1], size * per_byte), np.uint8)
    fields[..., : values.shape[-1]] = values.astype(np.int64) & ((1 << bits) - 1)
    shifts = np.arange(per_byte, dtype=np.uint8) * bits
    return np.bitwise_or.reduce(fields.reshape(*values.shape[:-1], size, per_byte) << shifts, axis=-1)


def unpack(packed: np.ndarray, bits: int, count: int, *, signed: bool) -> np.ndarray:
    """The integers [..., count] that :func:`pack` was given, int8 where ``signed``, else uint8.

    Args:
        packed: uint8 [..., packed_bytes(count, bits)].
    """
    assert bits in WIDTHS and packed.shape[-1] == packed_bytes(count, bits), (packed.shape, bits, count)
    shifts = np.arange(8 // bits, dtype=np.uint8) * bits
    fields = (packed[..., None] >> shifts) & ((1 << bits) - 1)
    values = fields.reshape(*packed.shape[:-1], packed.shape[-1] * (8 // bits))[..., :count]
    if not signed:
        return values
    sign = 1 << (bits - 1)
    return ((values ^ sign).astype(np.int8) - np.int8(sign)).astype(np.int8)
